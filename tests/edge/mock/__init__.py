"""One module for each of edge.mock."""
