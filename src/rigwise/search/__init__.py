"""Which split is best: every legal layout as a table, pruned, costed and ranked."""
