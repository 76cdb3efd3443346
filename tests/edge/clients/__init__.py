"""One module for each of edge.clients."""
