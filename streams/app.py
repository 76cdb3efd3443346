"""The worker as a command: ``faust -A streams.app worker -l info``.

Importing this module reads the environment, since that is what ``faust -A`` does; nothing is connected before the
worker starts.
"""

from streams.settings import load
from streams.worker import create_app

app = create_app(load())
