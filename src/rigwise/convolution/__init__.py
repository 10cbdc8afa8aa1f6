"""A convolution: what it is, what each way to do it costs, and code that does it."""
