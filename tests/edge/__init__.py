"""The edge's tests, one module for each of its modules."""
