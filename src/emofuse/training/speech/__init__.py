"""Training of speech models."""
