"""How many files a process may have open: a connection is one, and so is a port that is kept."""

import resource
import sys


def raise_file_limit(files: int = sys.maxsize) -> None:
    """Have this process, and what it starts, open so many, or what the hard limit allows: the usual one is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < min(files, hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, hard), hard))
