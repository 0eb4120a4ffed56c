"""Evaluating one model, or one model per fold, on a corpus."""
