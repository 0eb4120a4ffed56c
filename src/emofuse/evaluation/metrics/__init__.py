"""Metrics: pure functions of labels and probabilities."""
