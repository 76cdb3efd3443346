"""The Autobahn test suite for WebSocket servers, run against the edge's own connection in an echo mode."""
