"""One module for each of edge.access."""
