"""The laws: seconds, bytes, joules and money of a layout, and the estimate that puts them together."""
