"""Both processes write logs in one form, at the level that is asked for, and repeat no password."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest
import structlog

from runtime.logs import Line, Once, configure_directly, configure_structlog, logging_config

Output = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    """A standard output in front of a person."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Put back what a test configures."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    names = ("aiokafka", "aiokafka.conn")
    levels = [logging.getLogger(name).level for name in names]
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in zip(names, levels, strict=True):
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


def entries(output: Output) -> list[dict[str, str]]:
    """Return what was logged since the last call."""
    return [json.loads(line) for line in output.readouterr().out.splitlines()]


def log_of_both(name: str) -> None:
    """Log one event as we do, and one line as a library does."""
    structlog.get_logger("ours").info("session.opened", peer="p")
    logging.getLogger(name).error("Unhandled %s", "exception")


def test_the_workers_and_the_edges_lines_have_one_form(capsys: Output) -> None:
    configure_directly("info", "auto", levels={})
    log_of_both("library")
    configure_structlog()
    logging.config.dictConfig(logging_config("info", "auto"))
    log_of_both("library")
    written = entries(capsys)
    edge, worker = written[:2], written[2:]
    for event in (*edge, *worker):
        del event["timestamp"]
    assert edge == worker
    assert edge == [
        {"event": "session.opened", "peer": "p", "logger": "ours", "level": "info"},
        {"event": "Unhandled exception", "logger": "library", "level": "error"},
    ]


@pytest.mark.parametrize("direct", [True, False])
def test_the_level_holds_for_events_and_for_lines(capsys: Output, *, direct: bool) -> None:
    if direct:
        configure_directly("error", "json", levels={})
    else:
        configure_structlog()
        logging.config.dictConfig(logging_config("error", "json"))
    log_of_both("library")
    assert [entry["logger"] for entry in entries(capsys)] == ["library"]


def test_a_library_can_be_kept_quieter(capsys: Output) -> None:
    configure_directly("info", "json", levels={"aiokafka": "critical"})
    log_of_both("aiokafka")
    assert [entry["logger"] for entry in entries(capsys)] == ["ours"]


def test_without_a_level_fausts_option_decides(capsys: Output) -> None:
    """What Faust's command line does: see ``mode.utils.logging._setup_logging``."""
    from mode.utils.logging import setup_logging  # noqa: PLC0415 - registers Faust's formatters

    configure_structlog()
    setup_logging(loglevel="debug", logging_config=logging_config(None, "json"))
    structlog.get_logger("ours").debug("looked")
    assert [entry["event"] for entry in entries(capsys)] == ["looked"]
    setup_logging(loglevel="debug", logging_config=logging_config("error", "json"))
    structlog.get_logger("ours").debug("looked")
    assert entries(capsys) == []


def test_a_request_that_holds_a_password_is_not_logged_even_at_debug(capsys: Output) -> None:
    configure_directly("debug", "json", levels={})
    logging.getLogger("aiokafka.conn").debug("Request to %s: %s", "kafka", "SaslAuthenticate(b'\\0user\\0secret')")
    logging.getLogger("aiokafka.client").debug("hello")
    assert [entry["logger"] for entry in entries(capsys)] == ["aiokafka.client"]


@pytest.mark.parametrize(
    ("form", "terminal", "is_json"),
    [("auto", False, True), ("auto", True, False), ("json", True, True), ("console", False, False)],
)
def test_the_form_is_chosen_or_follows_from_the_terminal(
    monkeypatch: pytest.MonkeyPatch, form: str, *, terminal: bool, is_json: bool
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    configure_directly("info", form, levels={})  # type: ignore[arg-type]  # one of the table's
    log_of_both("library")
    first, second = stream.getvalue().splitlines()
    assert [first.startswith("{"), second.startswith("{")] == [is_json, is_json]
    assert terminal or "\x1b" not in stream.getvalue(), "colours are for terminals"


@pytest.mark.parametrize("direct", [True, False])
def test_a_traceback_stays_in_its_line(capsys: Output, *, direct: bool) -> None:
    if direct:
        configure_directly("info", "json", levels={})
    else:
        configure_structlog()
        logging.config.dictConfig(logging_config("info", "json"))
    try:
        1 // 0  # noqa: B018 - raises
    except ZeroDivisionError:
        structlog.get_logger("ours").error("failed", exc_info=True)
        logging.getLogger("library").exception("failed")
    assert ["ZeroDivisionError" in entry["exception"] for entry in entries(capsys)] == [True, True]


@pytest.mark.parametrize("direct", [True, False])
def test_a_traceback_for_people_has_no_variables(monkeypatch: pytest.MonkeyPatch, *, direct: bool) -> None:
    """One of them may be a URL with its password; structlog shows them all where it finds rich."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    if direct:
        configure_directly("info", "console", levels={})
    else:
        configure_structlog()
        logging.config.dictConfig(logging_config("info", "console"))
    url = f"amqp://user:{'secret' * 2}@broker/"
    try:
        1 // len(url[:0])
    except ZeroDivisionError:
        structlog.get_logger("ours").error("failed", exc_info=True)
        logging.getLogger("library").exception("failed")
    assert stream.getvalue().count("ZeroDivisionError") == 2
    assert "secretsecret" not in stream.getvalue()


class Unread(io.StringIO):
    """An output whose reader has gone."""

    def flush(self) -> None:
        """Fail as a pipe without a reader does."""
        raise BrokenPipeError


def test_a_log_that_nobody_reads_ends_no_session() -> None:
    """An event is logged in the middle of a client's handshake."""
    unread = Unread()
    logger = structlog.wrap_logger(Line(unread, "edge.test"), processors=[structlog.processors.JSONRenderer()])
    logger.info("session.opened")
    assert unread.getvalue() == '{"event": "session.opened"}\n'


def test_a_line_that_was_just_logged_is_not_logged_again() -> None:
    once = Once()

    def passes(text: str, second: float) -> bool:
        record = logging.LogRecord("aiokafka", logging.ERROR, "conn.py", 1, text, None, None)
        record.created = second
        return bool(once.filter(record))

    assert [passes("away", 0), passes("away", 5), passes("back", 5), passes("away", 10)] == [True, False, True, True]


def test_remembering_lines_is_bounded() -> None:
    once = Once()
    for number in range(1000):
        record = logging.LogRecord("x", logging.INFO, "x.py", 1, "line %d", (number,), None)
        assert once.filter(record)
        assert len(once._last) <= 100  # noqa: SLF001 - the bound is what is promised
