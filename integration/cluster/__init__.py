"""Three Kafka brokers, each of them killed, frozen and cut off, and what clients saw of it: ``make cluster``."""
