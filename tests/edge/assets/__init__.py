"""The JavaScript client, by tests in JavaScript."""
