"""What the worker and the edge share: where settings come from, how Kafka is reached, and how logs are written."""

__version__ = "0.1.0"
