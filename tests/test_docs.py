"""The documentation says what is so: its links lead somewhere, and what it names is in the code."""

import json
import re
import time
from collections.abc import Iterator
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Final, get_args

import pytest
from prometheus_client import CollectorRegistry

from edge.client import main as follow
from edge.clients.codes import CLOSES, CUTS
from edge.clients.link import Surroundings
from edge.clients.page_figures import PageFigures
from edge.feed.log import Log
from edge.feed.position import Cursor, Reason, before, position_of, stamp_of
from edge.positions.table import NAME
from edge.settings import Settings as EdgeSettings
from edge.status import Facts, Status
from edge.telemetry import Metrics as EdgeMetrics
from edge.telemetry import TurnTimes
from edge.wire.messages import message, with_cursor
from edge.wire.requests import Code
from streams.announcement import NOT_AN_ID
from streams.contract import Millis, Offset, Partition, PostId, dead_letter, decode_feed, encode_dead
from streams.dead import DISMISSED, FOREIGN, REQUEUED
from streams.dead_arguments import parse
from streams.progress import Progress
from streams.settings import Settings as StreamsSettings
from streams.settings import TopicSettings
from streams.telemetry import Metrics as StreamsMetrics
from streams.windows import Windows
from tests.edge.kit.edge import Edge
from tests.edge.kit.lines import Turns as Loop
from tests.edge.kit.lines import hub_of
from tests.edge.kit.listening import gate
from tests.edge.kit.old import Gone
from tests.edge.kit.positions import Figures

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PROTOCOL: Final = (ROOT / "docs/protocol.md").read_text("utf-8")
OPERATIONS: Final = (ROOT / "docs/operations.md").read_text("utf-8")
REFERENCE: Final = (ROOT / "docs/reference.md").read_text("utf-8")
SOURCES: Final = [
    path
    for pattern in (
        "streams/*.py",
        "edge/**/*.py",
        "runtime/*.py",
        "tests/conftest.py",
        "integration/*.py",
        "k8s/*.yaml",
        ".env.example",
        "Dockerfile",
    )
    for path in ROOT.glob(pattern)
]
OLD_NAMES: Final = "### Names until now"
GOLDEN: Final = ROOT / "tests/golden"

_FENCED: Final = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return _FENCED.sub("", page.read_text("utf-8"))


def spans(text: str) -> set[str]:
    """Return what stands between backticks."""
    return {" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)}


def anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one."""
    _, _, rest = text.partition(f"\n{heading}\n")
    assert rest, f"there is no {heading}"
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of the tables' rows, their heads left out."""
    for line, following in pairwise([*text.splitlines(), ""]):
        if line.startswith("|") and not line.startswith("|-") and not following.startswith("|-"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def first_cells(text: str) -> set[str]:
    return {name for cells in rows(text) for name in spans(cells[0])}


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_to_a_file_or_a_heading_leads_there(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs/README.md"
    led_to = {(index.parent / link).resolve() for link in _LINK.findall(prose(index))}
    assert {page for page in PAGES if page.is_relative_to(index.parent)} - {index} <= led_to


def test_the_readmes_pictures_are_there_and_small() -> None:
    named = re.findall(r'(?:src|srcset)="([^"]+)"', (ROOT / "README.md").read_text("utf-8"))
    pictures = list((ROOT / "docs/images").iterdir())
    assert {ROOT / name for name in named} == set(pictures)
    assert sum(picture.stat().st_size for picture in pictures) <= 200 * 1024


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    text = page.read_text("utf-8")
    named = [*re.findall(r"^make ((?:[a-z-]+ ?)+)", text, re.MULTILINE), *re.findall(r"`make\s([a-z -]+)", text)]
    assert {target for names in named for target in names.split()} <= targets


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_variable_constant_and_event_that_is_named_exists(page: Path) -> None:
    code = "\n".join(path.read_text("utf-8") for path in SOURCES)
    named = {
        word
        for span in spans(prose(page))
        for word in re.findall(r"^[A-Z]+(?:_[A-Z]+)+|^[a-z]+\.[a-z]+(?:_[a-z]+)*$", span)
        if not (ROOT / word).exists()
    }
    assert {word for word in named if not re.search(rf"\b{re.escape(word)}\b", code)} == set()


def test_the_readme_says_the_defaults() -> None:
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    required = {"AMQP_URL", "DATABASE_URL", "KAFKA_URL"}
    table = section((ROOT / "README.md").read_text("utf-8"), "## Configuration")
    said: dict[str, str] = {}
    for names, defaults, _ in rows(table):
        texts = re.findall(r"`([^`]+)`", defaults) or [""] * len(spans(names))
        said |= dict(zip(re.findall(r"`([^`]+)`", names), texts, strict=True))
    assert said == {name: "" if name in required else example[name] for name in said}
    assert required <= said.keys()


class Feed:
    """A feed without records."""

    records = repeats = undecodable = lag = reconnects = dropped = 0
    lag_seconds = 0.0
    gaps: ClassVar[dict[Reason, int]] = {}
    trouble: str | None = None
    unready: str | None = None
    figures = PageFigures({}, 0, 0, 0, 0, 0)

    async def end(self) -> Offset | None:
        return None

    async def confirmed_end(self) -> Offset | None:
        return None

    async def reached(self, offset: Offset) -> None:
        raise AssertionError(offset)


def metrics() -> set[str]:
    """Return the metrics' names as a query needs them; a histogram's without its endings."""
    worker = CollectorRegistry()
    StreamsMetrics(worker, Progress(time.monotonic))
    log = Log(limit=1 << 20, reach=0)
    around = Surroundings(hub_of(log, Loop()), gate())
    edge = EdgeMetrics(
        log,
        Feed(),
        around,
        TurnTimes(),
        replays=Gone(),
        admin=gate(),
        output=Feed(),
        posts=Feed(),
        positions=Figures(),
    )
    families = [*worker.collect(), *edge.registry().collect()]
    endings = {"counter": "_total", "info": "_info"}
    return {family.name + endings.get(family.type, "") for family in families if not family.name.startswith("process_")}


def test_the_table_of_settings_is_complete_and_true() -> None:
    worker, edge = (settings.model_fields.keys() for settings in (StreamsSettings, EdgeSettings))
    required = {name for name, field in StreamsSettings.model_fields.items() if field.is_required()} | {"kafka_url"}
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))

    def row(name: str) -> tuple[str, str]:
        default = "required" if name in required else f"`{example[name.upper()]}`" if example[name.upper()] else "empty"
        return default, "both" if name in worker & edge else "worker" if name in worker else "edge"

    said = [(*spans(cells[0]), *cells[1:3]) for cells in rows(section(REFERENCE, "## Settings"))]
    assert sorted(said) == sorted((name.upper(), *row(name)) for name in worker | edge)


def test_the_table_of_topics_is_that_of_the_settings() -> None:
    for topic, setting, partitions, days, _ in rows(section(REFERENCE, "## Topics")):
        [name] = spans(setting)
        assert f"`{TopicSettings.model_fields[name.lower()].default}`" == topic
        assert all(word.lower() in TopicSettings.model_fields for word in spans(partitions) | spans(days))
    assert {name for name in TopicSettings.model_fields if name.endswith("_topic")} == {
        name.lower() for _, setting, *_ in rows(section(REFERENCE, "## Topics")) for name in spans(setting)
    }


def test_the_reference_has_the_protocols_codes() -> None:
    protocol = {cells[0]: cells[2].partition(",")[0] for cells in rows(section(PROTOCOL, "## Close codes"))}
    said = {cells[0]: cells[2] for cells in rows(section(REFERENCE, "### Close codes"))}
    assert said == {code: again for code, again in protocol.items() if code.isdigit()}
    assert {cells[0] for cells in rows(section(PROTOCOL, "### Refusals")) if cells[0].isdigit()} == {
        cells[0] for cells in rows(section(REFERENCE, "### Statuses of HTTP"))
    }


def test_the_reference_has_the_statuses_of_posts() -> None:
    """Those of the protocol, among them each that the code answers with by itself."""
    protocol = {code for cells in rows(section(PROTOCOL, "## `GET /posts`")) for code in cells[0].split(", ")}
    said = {cells[0] for cells in rows(section(REFERENCE, "### Statuses of `/posts`"))}
    assert said == {code for code in protocol if code.isdigit()}
    answers = (ROOT / "edge/clients/post_answers.py").read_text("utf-8")
    refusals = (ROOT / "edge/clients/posts.py").read_text("utf-8")
    made = {str(HTTPStatus[name].value) for name in re.findall(r"HTTPStatus\.([A-Z_]+)", answers)}
    assert {"200", "204", "304", "410"} == made
    assert made | set(re.findall(r"Rejected\(\s*(\d+)", refusals)) <= said


def test_the_reference_has_the_codes_of_errors_and_the_reasons_of_gaps() -> None:
    assert first_cells(section(REFERENCE, "### Error codes")) == set(get_args(Code))
    assert first_cells(section(REFERENCE, "### Reasons of gaps")) == set(get_args(Reason))


def test_the_reference_has_the_clients_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that its help tells."""
    with pytest.raises(SystemExit):
        follow(["--help"])
    _, _, told = capsys.readouterr().out.partition("Exit codes:")
    tables = rows(section(REFERENCE, "### Exit codes"))
    assert {cells[0] for cells in tables if len(cells) == 2} == set(re.findall(r"\b(\d+)\s(?:after|when|for)\b", told))


def test_the_reference_has_the_fields_of_the_pages_figures() -> None:
    body = Status(Facts("1", Millis(5000))).body([], viewers=0, now=Millis(0))
    assert first_cells(section(REFERENCE, "## The page's figures")) == json.loads(body).keys()


def test_the_tables_of_metrics_are_complete_and_true() -> None:
    named = first_cells(section(REFERENCE, "### Of a worker")) | first_cells(section(REFERENCE, "### Of an edge"))
    assert {re.sub(r"\{.*", "", name) for name in named} - {"process_*"} == metrics()


def test_there_is_an_alert_for_every_metric_of_a_worker() -> None:
    alerts = " ".join(cells[0] for cells in rows(section(OPERATIONS, "## Alerts worth having")))
    # A replay, a retry and a batch alone are no reason to wake anybody, and the version is no state.
    silent = {"postcast_retries_total", "postcast_batches_total", "postcast_build_info", "postcast_lag_records"}
    worker = {name for name in metrics() if not name.startswith("postcast_edge_")} - silent
    assert {name for name in worker if not re.search(rf"\b{name}\b", alerts)} == set()


def test_there_is_an_alert_for_every_metric_of_an_edge_that_can_page() -> None:
    alerts = " ".join(cells[0] for cells in rows(section(OPERATIONS, "## Alerts worth having")))
    # How much there is to do, which is no reason to wake anybody by itself.
    silent = {
        *(
            "connections",
            "lagging",
            "posts_sent_total",
            "bytes_sent_total",
            "heartbeats_total",
            "requests_total",
            "errors_total",
            "records_total",
            "repeats_total",
        ),
        *("feed_offset", "log_bytes", "log_posts"),
        *("filters", "filter_entries", "filter_records_total", "filter_matches_total"),
        *("replays", "replay_readers", "replay_log_bytes", "replay_records_total", "replays_begun_total"),
        *("replay_left_behind_total",),
        "acknowledging",
        *("positions_waiting", "positions_stored_total", "positions_asked_total"),
        *("page_answers_total", "page_polls", "page_bytes_sent_total", "pages_made_total"),
    }
    loud = {name for name in metrics() if name.startswith("postcast_edge_")} - {
        f"postcast_edge_{end}" for end in silent
    }
    assert {name for name in loud if not re.search(rf"\b{name}(?:_bucket|_sum|_count)?\b", alerts)} == set()


def test_the_table_of_old_names_leads_to_metrics() -> None:
    pairs = [(spans(old), spans(new)) for old, new in rows(section(REFERENCE, OLD_NAMES))]
    assert set().union(*(new for _, new in pairs)) <= metrics()
    assert not set().union(*(old for old, _ in pairs)) & metrics()
    assert all(len(old) == len(new) == 1 for old, new in pairs)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_metric_that_is_named_exists(page: Path) -> None:
    text = prose(page)
    if f"\n{OLD_NAMES}\n" in text:
        text = text.replace(section(text, OLD_NAMES), "")
    named = re.findall(r"\b(?:postcast|edge)_[a-z_]+", " ".join(spans(text)))
    assert {re.sub(r"_seconds_(bucket|sum|count)$", "_seconds", name) for name in named} <= metrics() | {NAME}


@pytest.mark.parametrize("page", PAGES, ids=ids)
async def test_every_path_that_is_named_is_served(page: Path) -> None:
    edge = Edge()
    served = {resource.canonical for resource in edge.server.application(edge.admin.routes()).router.resources()}
    assert {span for span in spans(prose(page)) if re.fullmatch(r"/[a-z]*", span)} <= served


def test_the_table_of_close_codes_has_all_that_the_edge_sends_and_the_ranges_rule() -> None:
    table = {cells[0]: cells[2] for cells in rows(section(PROTOCOL, "## Close codes"))}
    codes = {int(name): reconnect for name, reconnect in table.items() if name.isdigit()}
    sent = {each.code for each in (*CLOSES.values(), *CUTS.values())}
    assert sent <= codes.keys()
    final = {code for code, reconnect in codes.items() if reconnect == "**no**"}
    assert final == {1002, 1008, 1009} | {code for code in codes if code >= 4500}
    assert table["4500–4999"] == "**no**"  # noqa: RUF001 - a range is set with an en dash


def test_the_map_of_modules_is_complete_and_true() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    packages = ("streams", "edge", "runtime")
    _, *maps = re.split(rf"^(?:{'|'.join(packages)})/\s", text, flags=re.MULTILINE)
    for package, told in zip(packages, maps, strict=True):
        named = re.findall(r"^ {0,11}(\w+)(?=[ \n])|(?<=·) (\w+)", told.partition("\n\n")[0], re.MULTILINE)
        modules = [path.stem for path in ROOT.glob(f"{package}/**/*.py") if not path.stem.startswith("_")]
        # Folders have modules of the same name: each is listed as often as it is there, and no more.
        assert sorted(first or further for first, further in named) == sorted(modules)


def test_the_table_of_reasons_is_that_of_the_cursors() -> None:
    assert first_cells(section(PROTOCOL, "### Reasons")) == set(get_args(Reason))


def test_the_table_of_errors_is_that_of_the_requests() -> None:
    assert first_cells(section(PROTOCOL, "### Errors")) == set(get_args(Code))


def test_the_table_of_dead_letters_is_that_of_the_streams() -> None:
    # streams.dead reads letters, and writes those that it has a name for.
    writers = [path for path in ROOT.glob("streams/*.py") if path.name != "dead.py"]
    code = "\n".join(path.read_text("utf-8") for path in writers)
    reasons = {DISMISSED, FOREIGN, NOT_AN_ID, REQUEUED, *re.findall(r'(?:set_aside|dead_letter)\(\s*"([a-z_]+)"', code)}
    assert first_cells(section(OPERATIONS, "## What to do with `posts.dead`")) == reasons


def test_the_options_of_dead_letters_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["dead", "requeue", "--help"], Millis(0))
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    named = first_cells(section(OPERATIONS, "### List, requeue and dismiss letters"))
    assert {name.split()[0] for name in named if name.startswith("--")} == options


def test_the_protocols_examples_are_what_the_code_makes() -> None:
    record = (GOLDEN / "feed_record.json").read_bytes()
    decoded = decode_feed(record)
    [publication] = decoded.publications
    token = str(Cursor(position_of(Offset(0), 1), stamp_of(record)))
    plain = message(publication)
    assert plain == (GOLDEN / "client_message.json").read_bytes()
    letter = dead_letter("not_an_id", "the body is neither 1 to 19 ASCII digits nor a JSON object", b"abc")
    for example in (record, plain, with_cursor(plain, token, decoded.window), encode_dead(letter)):
        assert f"\n{example.decode()}\n" in PROTOCOL
    told = " ".join(PROTOCOL.split())
    assert f"is `{token}`, which is offset 0, place 1, stamp `{stamp_of(record).hex()}`" in told
    assert f"it is `{before(Offset(0))}`" in told


def test_the_worked_example_of_a_wrong_clock_is_what_windows_do() -> None:
    def instant(text: str) -> Millis:
        """Read "11:00:04.9", or ":04.9" for 12:00:04.9."""
        whole = text.replace("*", "") if text.count(":") > 1 else f"12:00{text.replace('*', '')}"
        hours, minutes, seconds = whole.split(":")
        return Millis(round((int(hours) * 60 + int(minutes)) * 60_000 + float(seconds) * 1000))

    windows = Windows(Millis(5000), max_batch=100)
    windows.assign([Partition(0)], instant(":00.0"))
    expected = []
    example = (ROOT / "docs/time.md").read_text("utf-8")
    for offset, timestamp, read_at, earlier, event_time, window in rows(
        section(example, "## Event time never runs backwards")
    ):
        assert instant(earlier) == min(instant(timestamp), instant(read_at))
        windows.add(
            partition=Partition(0),
            offset=Offset(int(offset)),
            timestamp=instant(timestamp),
            now=instant(read_at),
            ids=[PostId(1)],
            attempt=0,
        )
        expected.append((instant(window.split("–")[0]), instant(event_time), int(offset)))  # noqa: RUF001 - a range
    taken = []
    for now in (":05.5", ":10.0"):
        batch = windows.next_batch(instant(now), read={Partition(0)})
        assert batch is not None
        taken += [(batch.window, record.event_time, record.offset) for record in batch.records]
    assert len(taken) == 6
    assert taken == expected


def test_the_worked_example_of_a_lookup_is_what_the_tests_run() -> None:
    """Without the first line of each file, which says what it is."""
    page = (ROOT / "docs" / "lookup.md").read_text("utf-8")
    for name in ("comments.sql", "comments_lookup.sql"):
        _, statement = (ROOT / "integration" / name).read_text("utf-8").split("\n", 1)
        assert f"```sql\n{statement}```\n" in page
