"""The feed, shown live to every WebSocket client."""
