"""Packages are installed where that is possible, and servers of the machine's own are left alone."""

from pathlib import Path

import pytest

from integration import packages
from integration.packages import MissingPackagesError


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for Debian's policy program."""
    monkeypatch.setattr(packages, "_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(packages, "_KEPT", tmp_path / "kept")
    return tmp_path / "policy-rc.d"


def test_without_apt_get_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingPackagesError) as caught:
        packages.install("rabbitmq-server", "postgresql")
    assert str(caught.value) == (
        "install the equivalent of Debian's rabbitmq-server postgresql: this machine has no apt-get"
    )


def test_without_the_rights_one_sentence_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(MissingPackagesError) as caught:
        packages.install("postcast-no-such-package")
    assert str(caught.value) == "install what is missing: sudo apt-get install postcast-no-such-package"


def test_while_installing_the_policy_forbids_every_start_and_afterwards_there_is_none(policy: Path) -> None:
    with packages.no_server_started():
        assert policy.read_bytes().endswith(b"exit 101\n")
        assert policy.stat().st_mode & 0o111
    assert list(policy.parent.iterdir()) == []


def test_the_machine_s_own_policy_comes_back_also_after_a_failure_and_after_a_run_that_was_killed(policy: Path) -> None:
    policy.write_bytes(b"#!/bin/sh\nexit 0\n")
    with pytest.raises(MissingPackagesError), packages.no_server_started():
        raise MissingPackagesError
    assert policy.read_bytes() == b"#!/bin/sh\nexit 0\n"

    policy.rename(policy.parent / "kept")
    policy.write_bytes(packages.FORBID)
    with packages.no_server_started():
        assert policy.read_bytes() == packages.FORBID
    assert policy.read_bytes() == b"#!/bin/sh\nexit 0\n"
    assert list(policy.parent.iterdir()) == [policy]
