"""For all tests without brokers: a slow machine is no failure."""

from hypothesis import settings

# An example that takes long says how busy the machine is, and nothing of the code: no test asserts a speed.
settings.register_profile("postcast", deadline=None)
settings.load_profile("postcast")
