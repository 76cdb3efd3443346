"""From a queue of post ids to a feed of complete posts: bridge, windows, enrichment."""

__version__ = "0.1.0"
