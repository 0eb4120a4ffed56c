"""Many media at once."""
