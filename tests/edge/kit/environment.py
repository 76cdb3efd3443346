"""The environment that settings are read from, in a test."""

from pathlib import Path

import pytest
from pydantic_settings import BaseSettings


def forget(monkeypatch: pytest.MonkeyPatch, settings: type[BaseSettings], folder: Path) -> None:
    """Have nothing of the machine's own environment looked at, nor a file in its working directory."""
    monkeypatch.chdir(folder)
    for name in settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
