"""Fusion of the modalities into one estimate per subject and moment."""
