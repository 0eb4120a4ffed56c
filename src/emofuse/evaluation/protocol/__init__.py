"""What is measured on what."""
