"""Keeping: checkpoints that any layout can go on from, written while training goes on."""
