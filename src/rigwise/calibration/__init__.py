"""From measurements to numbers: fits of the efficiencies, the intervals they earn, and the back-test."""
