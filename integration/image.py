"""The image of Postcast, built and removed by the engine's command-line client, as a user would."""

import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent


def docker(*arguments: str, code: int = 0) -> str:
    """Run the engine's client to its end, expect its exit code, and return all that it printed."""
    done = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code, done.stdout
    return done.stdout.strip()


def python_image(environ: Mapping[str, str]) -> str:
    """Return the image to build on."""
    (default,) = re.findall(r"^ARG PYTHON_IMAGE=(.+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    return environ.get("PYTHON_IMAGE") or str(default)


@contextmanager
def built(base: str) -> Iterator[str]:
    """Build the image, with the host's network: on some machines a build has no other way to the packages."""
    tag = f"postcast-test:{secrets.token_hex(4)}"
    docker("build", "--network=host", f"--build-arg=PYTHON_IMAGE={base}", f"--tag={tag}", ".")
    yield tag
    docker("image", "rm", "--force", tag)
