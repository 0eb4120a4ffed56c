"""Training: nets, the loop, export. Needs the extra `train` (torch)."""
