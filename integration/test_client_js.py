"""The JavaScript client: what it weighs, and that its types are those of its code."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from integration import npm

ASSETS: Final = Path(__file__).parents[1] / "edge/assets"
ESBUILD: Final = "esbuild@0.28.2"
TYPESCRIPT: Final = "typescript@7.0.2"
CORE_BYTES: Final = 4 * 1024
ALL_BYTES: Final = 8 * 1024


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install esbuild and tsc; return the folder of the programs."""
    return npm.install(tmp_path_factory.mktemp("npm"), ESBUILD, TYPESCRIPT) / "node_modules/.bin"


def weight(programs: Path, script: Path) -> int:
    """Return how many bytes a script has, minified and compressed."""
    minified = subprocess.run([programs / "esbuild", "--minify", script], check=True, capture_output=True).stdout
    return len(gzip.compress(minified, 9))


def test_the_core_weighs_4_kib_at_most_and_all_of_it_8(programs: Path) -> None:
    weights = {script.name: weight(programs, script) for script in ASSETS.glob("client*.js")}
    assert weights["client.js"] <= CORE_BYTES, weights
    assert sum(weights.values()) <= ALL_BYTES, weights


def test_tsc_accepts_the_types_and_refuses_what_is_wrong(programs: Path, tmp_path: Path) -> None:
    """As strictly as it can, and without skipping the types themselves."""
    shutil.copy(Path(__file__).with_name("client_types.ts"), tmp_path)
    shutil.copy(ASSETS / "client.d.ts", tmp_path)
    (tmp_path / "package.json").write_text('{"type":"module"}')
    options = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "nodenext"]
    command = [str(programs / "tsc"), *options, "--lib", "es2022,dom,dom.iterable", str(tmp_path / "client_types.ts")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_types_name_what_the_code_exports_and_what_it_asks_for() -> None:
    code, types = ((ASSETS / name).read_text("utf-8") for name in ("client.js", "client.d.ts"))
    exported = re.findall(r"^export (?:async )?function (\w+)", code, re.MULTILINE)
    assert sorted(exported) == sorted(re.findall(r"^export function (\w+)", types, re.MULTILINE))
    options = re.search(r"^export interface Options \{$(.*?)^\}$", types, re.DOTALL | re.MULTILINE)
    assert options is not None
    for name in re.findall(r"^  (\w+)\?:", options[1], re.MULTILINE):
        assert re.search(rf"\boptions\.{name}\b|\{{[^}}]*\b{name}\b[^}}]*\}} = (this\.#)?options\b", code), name
