"""For all tests without brokers: a slow machine is no failure, and the same code gives the same outcome."""

import os

from hypothesis import settings

# An example that takes long says how busy the machine is, and nothing of the code: no test asserts a speed.
# Derandomised, a failure belongs to the change at hand. HYPOTHESIS_PROFILE=explore looks for examples that nobody has
# seen yet; one that fails becomes a test by itself.
settings.register_profile("postcast", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "postcast"))
