"""For all tests without brokers: a slow machine is no failure, and the same code gives the same outcome."""

import os

import structlog
from hypothesis import Phase, settings

# An example that takes long says how busy the machine is, and nothing of the code: no test asserts a speed.
# Derandomised, a failure belongs to the change at hand. HYPOTHESIS_PROFILE=explore looks for examples that nobody has
# seen yet; one that fails becomes a test by itself.
_PHASES = [phase for phase in Phase if phase is not Phase.explain]
settings.register_profile("postcast", deadline=None, derandomize=True, phases=_PHASES)
settings.register_profile("explore", deadline=None, print_blob=True, phases=_PHASES)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "postcast"))

# Tracebacks in colours, with the variables of each frame, take longer than the tests that log them.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
