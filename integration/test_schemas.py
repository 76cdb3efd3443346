"""The AsyncAPI document, read by the parser of those who made AsyncAPI."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from integration.conftest import lacking
from integration.schemas import FOLDER

PARSER: Final = "@asyncapi/parser@3"
_INSTALL_SECONDS: Final = 240
_WARNING: Final = 1
"""Below it are errors; above it what the parser would only do otherwise, such as take its newest version."""
_SCRIPT: Final = """
const { Parser } = require("@asyncapi/parser");
const fs = require("fs");
new Parser().parse(fs.readFileSync(0, "utf8")).then(({ document, diagnostics }) => {
  const messages = document && document.allMessages().all().map((message) => message.id());
  const operations = document && document.operations().all().map((operation) => operation.id());
  console.log(JSON.stringify({ messages, operations, diagnostics }));
});
"""


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the parser into a folder of the test's."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        lacking("there is no Node: install node and npm")
    folder = tmp_path_factory.mktemp("asyncapi")
    options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(
            [npm, "install", "--prefix", str(folder), *options, PARSER],
            check=True, capture_output=True, timeout=_INSTALL_SECONDS,
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        lacking(f"npm cannot install {PARSER}")
    return folder


def parsed(parser: Path, text: str) -> dict[str, list[dict[str, object]]]:
    done = subprocess.run(
        ["node", "-e", _SCRIPT], cwd=parser, input=text, check=True, capture_output=True, text=True, timeout=60
    )
    result: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
    return result


def faults(result: dict[str, list[dict[str, object]]]) -> list[dict[str, object]]:
    return [each for each in result["diagnostics"] if int(str(each["severity"])) <= _WARNING]


def test_the_document_is_without_a_fault(parser: Path) -> None:
    text = (FOLDER / "asyncapi.json").read_text("utf-8")
    document = json.loads(text)
    result = parsed(parser, text)
    assert faults(result) == []
    assert set(result["operations"]) == document["operations"].keys()
    assert len(result["messages"]) >= len(document["components"]["messages"])


def test_a_fault_would_be_found(parser: Path) -> None:
    """An operation on a channel that there is not."""
    text = (FOLDER / "asyncapi.json").read_text("utf-8").replace('"#/channels/websocket"', '"#/channels/nothing"', 1)
    assert faults(parsed(parser, text)) != []
