"""What every program here shares: errors, text files, flag definitions."""
