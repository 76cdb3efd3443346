"""What the edge's tests share."""
