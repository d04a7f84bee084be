"""The three tasks' examples: reading, encoding, decoding."""
