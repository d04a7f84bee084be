"""From text to features: tokenization, pre-training instances, task examples, TFRecords. Knows no model."""
