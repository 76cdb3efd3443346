"""A client's connection, from the request to its end."""
