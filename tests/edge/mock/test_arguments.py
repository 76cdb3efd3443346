"""What a mock is told on its command line."""

import pytest

from edge.mock.arguments import Arguments, parse
from edge.mock.scenarios import SCENARIOS, Clock


def test_without_arguments_nothing_goes_wrong_on_port_8080() -> None:
    """For this machine alone, a post a second, without an end."""
    assert parse([]) == Arguments(
        host="127.0.0.1",
        port=8080,
        scenario=SCENARIOS["steady"],
        clock=Clock(1, 1),
        seed=1,
        authors=None,
        says_json=False,
        prints=False,
        check=None,
    )


def test_everything_can_be_told() -> None:
    line = [
        "--host",
        "::",
        "--port",
        "0",
        "--scenario",
        "drops",
        "--rate",
        "2.5",
        "--window",
        "0.2",
        "--seed",
        "7",
        "--posts",
        "9",
    ]
    told = parse([*line, "--author", "3", "--author", "4", "--check", "-"])
    drops, clock = SCENARIOS["drops"], Clock(2.5, 0.2, 9)
    assert told == Arguments("::", 0, drops, clock, 7, frozenset((3, 4)), False, False, "-")
    assert parse([*line, "--json"]) == Arguments("::", 0, drops, clock, 7, None, True, False, None)
    assert parse([*line, "--print"]) == Arguments("::", 0, drops, clock, 7, None, False, True, None)


def test_the_help_names_every_scenario_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for each in SCENARIOS.values():
        assert len(each.name) < 15
        assert f"{each.name:<14} {each.sentence}\n" in said


WRONG = [
    (["--scenario", "x"], "invalid choice"),
    (["--port", "65536"], "argument --port: '65536' is no port: a number from 0 to 65535"),
    (["--port", "x"], "argument --port: 'x' is no port: a number from 0 to 65535"),
    (["--rate", "0"], "argument --rate: '0' is no number above 0"),
    (["--rate", "x"], "argument --rate: 'x' is no number above 0"),
    (["--rate", "inf"], "argument --rate: 'inf' is no number above 0"),
    (["--window", "-1"], "argument --window: '-1' is no number above 0"),
    (["--posts", "0"], "argument --posts: '0' is no whole number of 1 or more"),
    (["--posts", "x"], "argument --posts: 'x' is no whole number of 1 or more"),
    (["--posts", "9", "--print", "--check", "x"], "--print or --check, not both"),
    (["--posts", "9", "--print", "--json"], "--json says where"),
    (["--posts", "9", "--author", "1"], "--author needs --print or --check"),
    (["--print"], "need --posts"),
    (["--check", "-"], "need --posts"),
]


@pytest.mark.parametrize(("line", "said"), WRONG)
def test_what_is_wrong_is_said(line: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(line)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
