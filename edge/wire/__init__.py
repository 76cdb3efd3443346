"""What is on the wire, both ways: all of it pure."""
