"""Feeding: the samples of every step, loaded while the step before computes, and readers of the usual files."""
