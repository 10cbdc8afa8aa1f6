"""The whole machine: parts that fit together, what a list of parts costs the step, and machines joined to a cluster."""
