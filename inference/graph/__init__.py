"""What a model does with text, in TensorFlow operations alone, so that it can be exported."""
