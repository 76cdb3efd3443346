"""``python -m edge.mock``: the edge on a feed of its own making, for those who write clients."""
