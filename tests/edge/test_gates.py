"""What the ports' gates let in."""

import resource
from collections.abc import Iterator

import pytest

from edge.access.limits import SPARE
from edge.gates import gates
from edge.settings import Settings

KAFKA = "kafka://kafka:9092"
FILES = 1000


@pytest.fixture
def files() -> Iterator[None]:
    """Let this process open so many files in all, meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The hard limit stays: nobody but root could raise it again. So it is what the gates see.
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("files")
def test_the_soft_limit_of_files_is_raised_to_the_hard_one() -> None:
    """The usual soft limit is 1,024, and each client is an open file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gates(Settings(kafka_url=KAFKA))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


@pytest.mark.parametrize(("admin_port", "less"), [(0, 0), (9090, 64 + SPARE)])
def test_there_are_never_more_connections_than_files(
    admin_port: int, less: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the operators' port are theirs, where there is one."""
    monkeypatch.setattr("edge.gates._file_limit", lambda: FILES)
    clients, operators = gates(Settings(kafka_url=KAFKA, admin_port=admin_port))
    assert clients.census.total == FILES - 128 - SPARE - less
    assert operators.census.total == 64
    few, _ = gates(Settings(kafka_url=KAFKA, max_connections=7))
    assert few.census.total == 7
