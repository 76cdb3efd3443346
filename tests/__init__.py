"""Tests without brokers or databases: the cores, and the edge on loopback."""
