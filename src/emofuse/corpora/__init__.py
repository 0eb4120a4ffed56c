"""What corpora hold and what their labels mean."""
