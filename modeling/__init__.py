"""BERT: layers, heads, losses, optimizer, checkpoints and the training loop. Knows no file format of a task."""
