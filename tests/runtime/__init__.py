"""The streams' tests, one module for each of their modules."""
