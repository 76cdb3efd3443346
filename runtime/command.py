"""What the commands of both processes have in common: ``--version``, ``--settings``, and which release it is."""

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from runtime import __version__

BUILD: Final = "POSTCAST_BUILD"
"""What the image says of itself in its environment."""

_SETTINGS_ARE: Final = "Settings are environment variables, or lines of a file .env in the working directory."


def build() -> str:
    """Return what runs: ``image`` and its revision, ``wheel`` for an installed package, ``source`` for a checkout."""
    if image := os.environ.get(BUILD):
        return image
    try:
        installed = distribution("postcast").locate_file("runtime/command.py")
    except PackageNotFoundError:
        return "source"
    return "wheel" if Path(str(installed)) == Path(__file__) else "source"


def release() -> dict[str, str]:
    """Return the fields of the log's first line."""
    return {"version": __version__, "build": build(), "python": platform.python_version()}


def settings() -> str:
    """Return all settings of both processes, each with its default and a comment, as a file ``.env`` has them."""
    return files("runtime").joinpath("env.example").read_text("utf-8")


class _Settings(argparse.Action):
    """Prints the settings and ends the process."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        print(settings(), end="")  # noqa: T201 - its purpose
        parser.exit()


def parser(name: str, description: str, epilog: str = "") -> argparse.ArgumentParser:
    """Return a parser of the command ``name`` with the options that both commands have."""
    made = argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=f"{epilog}\n{_SETTINGS_ARE}".lstrip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    told = "postcast {version} ({build}), Python {python}".format(**release())
    made.add_argument("--version", action="version", version=told, help="print the version, and what it runs from")
    made.add_argument("--settings", action=_Settings, nargs=0, help="print all settings, with defaults and comments")
    return made
