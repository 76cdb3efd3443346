"""Real brokers, databases, processes and browsers: what the whole is run on, tested on and measured on."""
