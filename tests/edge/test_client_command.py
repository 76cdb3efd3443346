"""``python -m edge.client``: what it prints, what it says when something is in the way, and how it ends."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from edge.client import Gap, Post, json_line, line
from streams.contract import PostId, Publication
from tests.edge.kit.edge import Edge, serving

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/client_message.json").read_text("utf-8"))["payload"]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (Post(GOLDEN, "c1"), "{created_at} #{id} {user[username]}: {description}".format(**GOLDEN)),
        (Post({"comment": "é\n"}, "c1"), '{"comment": "é\\n"}'),
        (Gap("expired", "c1", 4), "-- some posts may be missing here: expired, 4 records"),
        (Gap("interrupted", "c1"), "-- some posts may be missing here: interrupted"),
    ],
)
def test_a_line_for_people(item: Post | Gap, said: str) -> None:
    assert line(item) == said


def test_a_text_cannot_act_on_a_terminal() -> None:
    payload = {**GOLDEN, "description": "a\x1b[2Jb\nc\u202ed\x9b"}
    assert line(Post(payload, "c1")).endswith(": a\\x1b[2Jb\\nc\\u202ed\\x9b")


def test_a_line_for_programs() -> None:
    post = {"id": 2**63 - 1, "description": "é\n"}
    assert json.loads(json_line(Post(post, "c1", 5000))) == {"post": post, "cursor": "c1", "window": 5000}
    assert json.loads(json_line(Gap("expired", "c1"))) == {"gap": {"reason": "expired", "lost": None}, "cursor": "c1"}
    assert json_line(Post({"a": "\u009b"}, "c1")).isascii()


class Command:
    """A command that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """Return what it prints next."""
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def until_said(self, text: str) -> str:
        """Wait until it has said this to whoever started it; return what it has said until then."""
        assert self.process.stderr is not None
        said = b""
        while text.encode() not in said:
            data = await self.process.stderr.readline()
            assert data, said.decode()
            said += data
        return said.decode()

    async def end(self) -> tuple[int, str, str]:
        """Wait for its end; return the exit code, and the rest of what it has printed and said."""
        out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def running(*arguments: str, **environment: str) -> AsyncIterator[Command]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge.client", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environment, "PATH": "", "PYTHONPATH": str(Path(__file__).parents[2]), "LC_ALL": "C.UTF-8"},
    )
    try:
        async with asyncio.timeout(60):
            yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def publication(number: int, text: str = "") -> Publication:
    payload = {"id": number, "description": text}
    return Publication("created", PostId(number), msgspec.Raw(json.dumps(payload).encode()))


def url(edge: Edge) -> str:
    return f"http://127.0.0.1:{edge.port}/"


def ids(text: str) -> list[int]:
    return [json.loads(each)["post"]["id"] for each in text.splitlines()]


async def test_it_prints_so_many_posts_and_goes_on_behind_them_the_next_time(tmp_path: Path) -> None:
    file = str(tmp_path / "cursor")
    async with serving() as edge:
        edge.feed.publish(*(publication(number) for number in range(1, 6)))
        options = (url(edge), "--json", "--cursor-file", file, "--count")
        async with running(*options, "2", "--history", "4") as command:
            code, out, err = await command.end()
            assert (code, ids(out)) == (0, [2, 3])
            assert "live: " in err
        async with running(*options, "1") as command:
            assert ids((await command.end())[1]) == [4]
        # The edge is there for clients that connect once.
        async with running(*options, "2") as command:
            await command.until_said("live: ")
            assert ids(await command.line()) == [5]
            edge.feed.publish(publication(6))
            assert ids((await command.end())[1]) == [6]


async def test_what_was_printed_when_it_is_told_to_end_does_not_come_again(tmp_path: Path) -> None:
    file = str(tmp_path / "cursor")
    async with serving() as edge:
        for number in (signal.SIGINT, signal.SIGTERM):
            async with running(url(edge), "--json", "--cursor-file", file) as command:
                await command.until_said("live: ")
                edge.feed.publish(publication(number))
                assert ids(await command.line()) == [number]
                command.process.send_signal(number)
                code, out, err = await command.end()
                assert (code, out, "Traceback" in err) == (130, "", False)


async def test_it_ends_without_a_word_when_nobody_reads_what_it_prints(tmp_path: Path) -> None:
    """What was not read by then comes again."""
    file = str(tmp_path / "cursor")
    options = ("--json", "--cursor-file", file)
    async with serving() as edge:
        async with running(url(edge), *options) as command:
            await command.until_said("live: ")
            edge.feed.publish(publication(1))
            assert ids(await command.line()) == [1]
            transport = command.process._transport  # type: ignore[attr-defined] # noqa: SLF001 - there is no other way
            transport.get_pipe_transport(1).close()
            await asyncio.sleep(0)
            edge.feed.publish(publication(2))
            code, _, err = await command.end()
            assert (code, "Traceback" in err, "Exception" in err) == (141, False, False)
        async with running(url(edge), *options, "--count", "1") as command:
            assert ids((await command.end())[1]) == [2]


async def test_a_character_that_the_terminal_does_not_have_is_escaped() -> None:
    async with serving() as edge:
        edge.feed.publish(publication(1, "é"))
        async with running(url(edge), "--history", "1", "--count", "1", PYTHONIOENCODING="ascii") as command:
            code, out, _ = await command.end()
            assert (code, out) == (0, '{"id": 1, "description": "\\xe9"}\n')


async def test_it_shows_the_posts_of_these_authors_alone() -> None:
    async with serving() as edge:
        edge.feed.publish(
            *(Publication("created", PostId(one), msgspec.Raw(b'{"id":%d}' % one), one) for one in (7, 8, 9))
        )
        options = ("--history", "9", "--author", "7", "--author", "9", "--count", "2", "--json")
        async with running(url(edge), *options) as command:
            assert ids((await command.end())[1]) == [7, 9]


async def test_what_is_refused_for_good_ends_it_with_a_sentence() -> None:
    async with serving() as edge, running(f"{url(edge)}?author=x") as command:
        code, out, err = await command.end()
        assert (code, out) == (1, "")
        assert "the feed was closed with 4500: " in err.splitlines()[-1]
        assert "Traceback" not in err


async def test_it_can_be_ended_where_a_shell_has_started_it_in_the_background() -> None:
    """A shell has such a process ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        async with running("http://127.0.0.1:9/") as command:
            signal.signal(signal.SIGINT, before)
            await command.until_said("connecting again in ")
            command.process.terminate()
            assert (await command.end())[0] == 130
    finally:
        signal.signal(signal.SIGINT, before)


async def test_it_says_that_nobody_is_there_and_when_it_tries_again() -> None:
    async with running("http://127.0.0.1:9/") as command:
        said = await command.until_said("connecting again in ")
        assert "Cannot connect to host 127.0.0.1:9 [" in said
        assert "(1006)" not in said
        command.process.send_signal(signal.SIGINT)
        assert (await command.end())[0] == 130


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "url"),
        (["nonsense"], "the URL is not one of http, https, ws or wss with a host"),
        (["http://edge.example/", "--count", "0"], "--count: it is at least 1"),
        (["http://edge.example/", "--count", "x"], "--count: it is at least 1"),
        (["http://edge.example/", "--history", "-1"], "history"),
        (["http://edge.example/", "--author", ""], "author is empty"),
        (["http://me:secret@edge.example/"], "a user or a password: give a token"),
        (["http://edge.example/", "--cursor-file", ""], "--cursor-file: '' is not the name of a file"),
        (
            ["http://edge.example/", "--cursor-file", "/nowhere/cursor"],
            "--cursor-file: '/nowhere/cursor' is in a folder",
        ),
        (["http://edge.example/?x=1&token=secret"], "use POSTCAST_TOKEN or --token-file"),
        (
            ["http://edge.example/", "--token-file", "/nowhere/token"],
            "--token-file: '/nowhere/token' cannot be used: No such",
        ),
        (["http://edge.example/", "--token", "secret"], "--token"),
    ],
)
async def test_a_wrong_argument_is_said(arguments: list[str], says: str) -> None:
    async with running(*arguments) as command:
        code, out, err = await command.end()
        assert (code, out) == (2, "")
        assert says in err.splitlines()[-1]
        assert "Traceback" not in err


async def test_a_cursor_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    async with running("http://127.0.0.1:9/", "--cursor-file", str(tmp_path)) as command:
        code, _, err = await command.end()
        assert code == 2
        assert err.endswith(f"--cursor-file: {str(tmp_path)!r} is not the name of a file\n")


@pytest.mark.parametrize("holds", ["", "\n", "se cret", "secr\u00e9t"])
async def test_a_token_file_without_a_token_is_said_and_not_shown(holds: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(holds, "utf-8")
    async with running("http://127.0.0.1:9/", "--token-file", str(file)) as command:
        code, _, err = await command.end()
        assert code == 2
        assert err.endswith(f"--token-file: {str(file)!r} cannot be used: it holds no token\n")
        assert "cr" not in err.replace(str(file), "")


async def test_a_variable_without_a_token_is_said_and_not_shown() -> None:
    async with running("http://127.0.0.1:9/", POSTCAST_TOKEN="se cret") as command:
        code, _, err = await command.end()
        assert (code, "cret" in err) == (2, False)
        assert err.endswith("POSTCAST_TOKEN holds no token\n")


async def test_its_help_says_which_token_counts_and_how_it_ends() -> None:
    async with running("--help", COLUMNS="400") as command:
        code, out, _ = await command.end()
        assert code == 0
        for each in ("without it from the variable POSTCAST_TOKEN", "N posts, at least 1", "Exit codes: 0 after"):
            assert each in out
