"""What the transports make of what an edge sends."""
