"""Pre-training corpora: from files to shards of records."""
