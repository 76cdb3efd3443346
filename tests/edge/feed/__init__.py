"""One module for each of edge.feed."""
