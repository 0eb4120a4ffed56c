"""Training of text models."""
