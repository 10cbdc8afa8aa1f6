"""Gradients in fewer bytes: what a number becomes on the wire (codecs), and the exchange that sums what was sent."""
