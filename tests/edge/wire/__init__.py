"""One module for each of edge.wire."""
