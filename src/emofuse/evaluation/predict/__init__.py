"""Predictions of a model on a corpus."""
