"""The suite's report is judged: what is not expected is said, in both directions."""

from pathlib import Path

from integration.autobahn.report import DECLINED, EXPECTED, Behavior, Report

GOOD = {"1.1.1": Behavior("OK"), "1.1.2": Behavior("OK", "INFORMATIONAL"), "7.1.6": Behavior("INFORMATIONAL")}


def test_a_report_is_read_from_the_suites_own_words() -> None:
    case = {"behavior": "OK", "behaviorClose": "WRONG CODE", "remoteCloseCode": None}
    assert Report.of({"7.9.1": case}) == Report({"7.9.1": Behavior("OK", "WRONG CODE")})


KNOWN = {"7.9.5": Behavior("FAILED", "WRONG CODE")}


def test_nothing_is_expected_to_fail() -> None:
    assert not EXPECTED


def test_what_is_fine_or_expected_is_no_complaint() -> None:
    assert Report({**GOOD, **KNOWN}, KNOWN).complaints([1, 7]) == []


def test_an_offer_that_is_declined_is_no_complaint() -> None:
    """Of what is compressed, the cases whose offer the edge does not accept are not run."""
    assert Report({"12.1.1": Behavior("OK"), "13.3.1": Behavior("UNIMPLEMENTED")}).complaints([12, 13]) == []


def test_no_other_offer_may_be_declined_and_no_declined_one_accepted() -> None:
    """An edge that declined all compression would fail no case of it."""
    report = Report({"12.1.1": Behavior("UNIMPLEMENTED"), "13.3.1": Behavior("OK")})
    assert report.complaints([12, 13]) == [
        "case 12.1.1: UNIMPLEMENTED, closing OK",
        "case 13.3.1: an offer of server_max_window_bits=9 is declined by design, and was not",
    ]


def test_the_protocol_page_names_the_sections_that_are_declined() -> None:
    page = Path(__file__).parents[2] / "docs/protocol.md"
    text = page.read_text("utf-8")
    assert [section for section in DECLINED if section not in text] == []


def test_each_way_to_be_otherwise_is_a_complaint() -> None:
    """A case that fails, one that is closed wrongly, one that fails in another way than is known, a group not run."""
    report = Report(
        {
            **GOOD,
            "1.1.3": Behavior("FAILED"),
            "1.1.4": Behavior("OK", "UNCLEAN"),
            "1.1.5": Behavior("UNIMPLEMENTED"),
            "7.9.5": Behavior("FAILED"),
        },
        KNOWN,
    )
    assert report.complaints([1, 2]) == [
        "case 1.1.3: FAILED, closing OK",
        "case 1.1.4: OK, closing UNCLEAN",
        "case 1.1.5: UNIMPLEMENTED, closing OK",
        "case 7.9.5: FAILED, closing OK",
        "no case of group 2 was run",
    ]


def test_a_deviation_that_is_none_any_more_is_a_complaint() -> None:
    """The list is true in both directions."""
    assert Report({"7.9.5": Behavior("OK")}, KNOWN).complaints([7]) == [
        "case 7.9.5 is expected to be FAILED and was not: take it off the list"
    ]


def test_the_table_counts_each_case_once_in_the_column_of_its_worse_half() -> None:
    report = Report(
        {**GOOD, "10.1": Behavior("OK", "UNCLEAN"), "6.4.1": Behavior("NON-STRICT"), "6.4.2": Behavior("?")}
    )
    assert report.table().splitlines() == [
        "group  cases  OK  NON-STRICT  INFORMATIONAL  UNIMPLEMENTED  FAILED",
        "    1      2   2           0              0              0       0",
        "    6      2   0           1              0              0       1",
        "    7      1   0           0              1              0       0",
        "   10      1   0           0              0              0       1",
        "  all      6   2           1              1              0       2",
    ]
