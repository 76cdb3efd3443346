"""Everything that reads bytes from outside, given bytes that nobody sane would send."""
