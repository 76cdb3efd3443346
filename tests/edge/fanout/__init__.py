"""One module for each of edge.fanout."""
