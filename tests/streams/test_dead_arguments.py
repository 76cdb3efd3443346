"""What the command line of ``dead`` means, and what is wrong with it."""

import pytest

from streams.contract import Millis, PostId
from streams.dead import DISMISSED, REQUEUED, Selection
from streams.dead_arguments import Request, parse
from tests.streams.dead_letters import at

NOW = Millis(1_762_336_800_000)  # 2025-11-05T10:00:00Z


def test_without_conditions_everything_is_meant() -> None:
    assert parse(["dead", "list"], NOW) == Request(None, Selection(), None, as_json=False, dry_run=False)
    assert parse(["dead", "requeue"], NOW) == Request(REQUEUED, Selection(), None, as_json=False, dry_run=False)
    assert parse(["dead", "dismiss", "--dry-run"], NOW) == Request(
        DISMISSED, Selection(), None, as_json=False, dry_run=True
    )


def test_every_condition_can_be_given_and_most_of_them_repeatedly() -> None:
    words = "dead list --reason missing --reason unreadable --since 2h --id 5 --id 6 --offset 7 --offset 2:8 --limit 9"
    assert parse([*words.split(), "--json"], NOW) == Request(
        None,
        Selection(
            reasons=frozenset({"missing", "unreadable"}),
            since=Millis(NOW - 2 * 60 * 60 * 1000),
            posts=frozenset({PostId(5), PostId(6)}),
            places=frozenset({at(7), at(8, 2)}),
        ),
        limit=9,
        as_json=True,
        dry_run=False,
    )


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("45s", NOW - 45_000),
        ("90m", NOW - 5_400_000),
        ("2h", NOW - 7_200_000),
        ("7d", NOW - 604_800_000),
        ("1w", NOW - 604_800_000),
        ("2025-11-05T09:59:59.5Z", NOW - 500),
        ("2025-11-05T11:00+01:00", NOW),
        ("2025-11-05T10:00", NOW),
        ("2025-11-05", NOW - 36_000_000),
    ],
)
def test_a_time_is_a_duration_back_or_iso_8601_in_utc(text: str, since: int) -> None:
    assert parse(["dead", "list", "--since", text], NOW).selection.since == since


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--since yesterday", "'yesterday' is neither a time such as 2026-11-05T10:00Z nor 2h"),
        ("--id -5", "'-5' is no id between 1 and"),
        ("--id 0", "'0' is no id between 1 and"),
        ("--id 9223372036854775808", "'9223372036854775808' is no id between 1 and"),
        ("--offset 1:2:3", "'1:2:3' is neither OFFSET nor PARTITION:OFFSET"),
        ("--limit 0", "'0' is no number above 0"),
        ("--dry-run", "unrecognized arguments: --dry-run"),
    ],
)
def test_a_wrong_argument_is_a_sentence_and_exit_code_2(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["dead", "list", *words.split()], NOW)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
