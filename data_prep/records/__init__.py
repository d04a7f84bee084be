"""TFRecords: features, writing, reading in batches."""
