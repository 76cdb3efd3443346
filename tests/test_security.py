"""The page on security: each of its lines names a test that holds it, and each of these tests exists."""

import ast
import re
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = (ROOT / "docs/security.md").read_text("utf-8")
_NAMED: Final = re.compile(r"`([^`\s]+\.(?:py|mjs))::([^`]+)`")


def held_rows() -> list[str]:
    """Return the rows of the tables whose last column names tests."""
    found: list[str] = []
    is_held = False
    for line, following in pairwise([*PAGE.splitlines(), ""]):
        if not line.startswith("|"):
            is_held = False
        elif following.startswith("|-"):
            is_held = line.endswith("| held by |")
        elif is_held and not line.startswith("|-"):
            found.append(line)
    return found


def names_of(path: Path) -> set[str]:
    """Return the names of a module's tests."""
    text = path.read_text("utf-8")
    if path.suffix == ".mjs":
        return set(re.findall(r'^test\("([^"]+)"', text, re.MULTILINE))
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


def test_the_page_has_its_lines() -> None:
    assert len(held_rows()) >= 30


def test_every_line_that_names_tests_is_in_a_table() -> None:
    """A row behind an empty line is text, and none of the lines that are held."""
    named = [line for line in PAGE.splitlines() if line.startswith("|") and _NAMED.search(line)]
    assert named == held_rows()


@pytest.mark.parametrize("row", held_rows(), ids=lambda row: row.split("|")[1].strip())
def test_every_line_is_held_by_tests_that_exist(row: str) -> None:
    named = _NAMED.findall(row.rsplit("|", 2)[1])
    assert named
    for module, test in named:
        assert test in names_of(ROOT / module), f"{module}::{test}"


def test_every_test_that_is_named_anywhere_exists() -> None:
    """Also between the tables."""
    assert [name for name in _NAMED.findall(PAGE) if name[1] not in names_of(ROOT / name[0])] == []


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda file: file.name)
def test_every_requirement_is_pinned_with_a_hash(file: Path) -> None:
    requirements = re.split(r"(?<!\\)\n", re.sub(r"^\s*#.*\n", "", file.read_text("utf-8"), flags=re.MULTILINE))
    for requirement in filter(None, map(str.strip, requirements)):
        assert re.match(r"[\w.\[\]-]+==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement
