"""The brain's computing power: a neuron as a network, the estimate with its spread, machines, and the years ahead."""
