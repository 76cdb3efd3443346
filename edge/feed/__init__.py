"""The recent feed, read from Kafka and kept once for all clients."""
