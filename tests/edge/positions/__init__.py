"""One module for each of edge.positions."""
