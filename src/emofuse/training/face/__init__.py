"""Training of face models."""
