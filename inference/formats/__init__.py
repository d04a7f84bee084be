"""Files of documents: a reader and a writer of each format. No models."""
