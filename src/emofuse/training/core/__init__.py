"""What every training shares: samples, the loop, checkpoints, export."""
