"""Evaluation programs. Each runs alone as `python biocodes/x.py`, without TensorFlow."""
