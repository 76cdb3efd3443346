"""The JavaScript client: each rule is a test in client.test.mjs, with the clock and the network in the test's hands."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", sorted(path.name for path in Path(__file__).parent.glob("*.test.mjs")))
def test_its_rules_hold(name: str) -> None:
    node = shutil.which("node")
    if node is None:
        if os.environ.get("POSTCAST_REQUIRE_ALL") == "1":
            pytest.fail("POSTCAST_REQUIRE_ALL is set, but there is no Node", pytrace=False)
        pytest.skip("there is no Node: install node")
    command = [node, "--test", "--test-reporter=spec", str(Path(__file__).with_name(name))]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
