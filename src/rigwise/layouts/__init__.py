"""How it is split: the layout, the rules it obeys, who holds which piece, and the order of a pipeline's work."""
