"""``python -m streams dead list`` and ``requeue`` against a real Kafka."""

import asyncio
import subprocess
import sys

from integration.author import author_of
from integration.clients import connect
from integration.system import System


def dead(system: System, *arguments: str) -> tuple[list[str], str]:
    """Run the command; return its lines and what it said beside them."""
    done = subprocess.run(
        [sys.executable, "-m", "streams", "dead", *arguments],
        env=system.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines(), done.stderr.strip()


async def test_a_post_given_up_is_shown_after_it_was_put_back(shared: System, owner: dict[str, str]) -> None:
    async with author_of(shared, owner) as author, await connect(shared.processes[1].websocket) as client:
        async with author.database() as database:
            post = await database.fetchval("SELECT nextval('posts_id_seq')")
        mark = f"b'{post}'"
        await author.announce(post, b"no id at all")

        def waiting() -> list[str]:
            return [line for line in dead(shared, "list", "--reason", "missing")[0] if mark in line]

        async with asyncio.timeout(30):
            while not (lines := await asyncio.to_thread(waiting)):
                pass
        assert len(lines) == 1
        assert "not in the database at 3 lookups" in lines[0]

        async with author.database() as database:
            await database.execute(
                "INSERT INTO posts (id, description, created_at, owner_id) VALUES ($1, 'late', now(), 1)", post
            )
        await asyncio.to_thread(dead, shared, "requeue", "--reason", "missing")
        await client.until(lambda: post in client.ids, "the post that was put back")
        assert client.ids.count(post) == 1
        assert await asyncio.to_thread(waiting) == []

        lines, said = await asyncio.to_thread(dead, shared, "requeue", "--reason", "not_an_id")
        assert any("b'no id at all'" in line and line.endswith("neither 1 to 19 ASCII digits nor a JSON object")
                   for line in lines)  # fmt: skip
        assert said.startswith("0 put back")
