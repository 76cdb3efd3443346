"""Who is sent what, and whose turn it is."""
