"""Metrics, in numpy alone: classification, calibration, multi-label, selective prediction.

Everywhere `actual` and `predicted` are class indices of shape (n,), `probabilities`
and `logits` have shape (n, labels).
"""
