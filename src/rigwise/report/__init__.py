"""Results as pictures: SVG files that stand alone."""
