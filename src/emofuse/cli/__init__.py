"""What people run: the command line, its configuration, and the self-check."""
