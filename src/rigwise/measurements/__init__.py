"""What was measured: one record for a figure, and the readers of published tables."""
