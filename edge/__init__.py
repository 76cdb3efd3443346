"""The feed, shown live to every WebSocket client."""

__version__ = "0.1.0"
