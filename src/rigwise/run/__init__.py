"""Doing what a layout says: tasks, ranks, training with torch.distributed, checkpoints and logs."""
