"""A flood of dead letters is one line a minute for each reason, and no letter is left out of the count."""

from streams.letters import LetterLog


class Log:
    """A log of dead letters, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lines: list[tuple[str, int]] = []
        self.letters = LetterLog(lambda: self.now, lambda reason, number: self.lines.append((reason, number)))

    def second(self) -> None:
        self.now += 1
        self.letters.flush()


def test_a_reason_has_one_line_a_minute_with_the_count() -> None:
    log = Log()
    for _ in range(125):
        log.letters.count("not_an_id")
        log.letters.count("not_an_id", 2)
        log.second()
    assert log.lines == [("not_an_id", 3), ("not_an_id", 180), ("not_an_id", 180)]


def test_reasons_do_not_wait_for_one_another() -> None:
    log = Log()
    log.letters.count("missing")
    log.second()
    log.letters.count("unreadable")
    log.second()
    assert log.lines == [("missing", 1), ("unreadable", 1)]


def test_what_is_counted_at_the_end_is_said() -> None:
    log = Log()
    log.letters.count("missing")
    log.second()
    log.letters.count("missing")
    log.second()
    log.letters.flush(final=True)
    log.letters.flush(final=True)
    assert log.lines == [("missing", 1), ("missing", 1)]


def test_nothing_is_said_of_nothing() -> None:
    log = Log()
    log.second()
    assert log.lines == []
