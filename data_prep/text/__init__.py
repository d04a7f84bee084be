"""Text to sentences, words and wordpieces."""
