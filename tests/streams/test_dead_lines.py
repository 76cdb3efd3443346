"""How dead letters are printed."""

import json

from streams.contract import Millis, dead_letter
from streams.dead import DISMISSED, REQUEUED, Letter, judge
from streams.dead_lines import json_line, text_line
from tests.streams.dead_letters import GROUPED, HUGE, MISSING, POISON, at

WRITTEN = Millis(1_762_336_800_500)


def test_a_line_has_place_time_reason_length_body_and_detail() -> None:
    letter = Letter(at(17, 2), WRITTEN, MISSING)
    line = "    2:17  2025-11-05T10:00:00Z  missing              2 B  b'12'  not in the database at 3 lookups"
    assert text_line(judge(DISMISSED, letter)) == line
    assert text_line(judge(REQUEUED, letter), REQUEUED) == f"{line}  requeued"


def test_a_long_body_is_shown_in_part() -> None:
    line = text_line(judge(DISMISSED, Letter(at(0), WRITTEN, HUGE)))
    assert f" 1000000 B  b'{'1' * 40}'…  too many digits" in line


def test_a_refused_letter_says_why() -> None:
    line = text_line(judge(REQUEUED, Letter(at(0), WRITTEN, POISON)), REQUEUED)
    assert line.endswith("  not requeued: the body is neither 1 to 19 ASCII digits nor a JSON object")


def test_no_foreign_text_breaks_the_line_or_reaches_the_terminal() -> None:
    letter = Letter(at(0), WRITTEN, dead_letter("a\nb", "\x1b[2J\u2028é", b"\x1b"))
    line = text_line(judge(DISMISSED, letter))
    assert line.isprintable()
    assert "a\\nb" in line
    assert "\\x1b[2J\\u2028é" in line


def test_a_timestamp_that_is_no_time_is_shown_as_it_is() -> None:
    for stamp in (-1, 2**63 - 1):
        letter = Letter(at(0), Millis(stamp), MISSING)
        assert json.loads(json_line(judge(REQUEUED, letter)))["written"] in {
            "1969-12-31T23:59:59.999Z",
            f"{stamp} ms",
        }


def test_json_has_the_whole_letter_and_the_posts_that_it_names() -> None:
    letter = Letter(at(17, 2), WRITTEN, GROUPED)
    whole = {
        "partition": 2,
        "offset": 17,
        "written": "2025-11-05T10:00:00.500Z",
        "reason": "bad_record",
        "detail": "an older worker could not read it",
        "length": GROUPED.length,
        "sha256": GROUPED.sha256,
        "body": "eyJpZHMiOls1LDYsN10sImF0dGVtcHQiOjJ9",
        "ids": [5, 6, 7],
    }
    line = json_line(judge(REQUEUED, letter))
    assert "\n" not in line
    assert json.loads(line) == whole
    assert json.loads(json_line(judge(REQUEUED, letter), REQUEUED)) == {**whole, "outcome": "requeued"}


def test_json_of_a_refused_letter_says_why() -> None:
    line = json.loads(json_line(judge(REQUEUED, Letter(at(0), WRITTEN, HUGE)), REQUEUED))
    assert (line["outcome"], line["why"], line["ids"]) == ("refused", "only the beginning of the body was kept", [])
