"""The fault checker's cores: what befalls the system, and whether a law was broken."""
