"""On what it is trained: devices, links, nodes and clusters; the catalogue, its names, and this machine."""
