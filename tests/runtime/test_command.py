"""What both commands say of themselves."""

import platform

import pytest

from runtime import __version__, command


def test_a_checkout_says_that_it_is_one() -> None:
    assert command.release() == {"version": __version__, "build": "source", "python": platform.python_version()}


def test_the_image_says_what_it_was_built_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(command.BUILD, "image 1a2b3c4")
    assert command.build() == "image 1a2b3c4"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--version", f"postcast {__version__} (source), Python {platform.python_version()}\n"),
        ("--settings", command.settings()),
    ],
)
def test_an_option_prints_and_ends_well(option: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.parser("python -m edge", "Serve.").parse_args([option])
    assert (ended.value.code, capsys.readouterr().out) == (0, told)


def test_help_says_what_the_command_is_for_how_a_worker_is_started_and_where_settings_come_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        command.parser("python -m streams", "Look after workers.", "A worker: faust.").parse_args(["--help"])
    told = capsys.readouterr().out
    assert told.startswith("usage: python -m streams [-h] [--version] [--settings]\n\nLook after workers.\n")
    assert told.endswith(
        "\nA worker: faust.\nSettings are environment variables, or lines of a file .env in the working directory.\n"
    )
