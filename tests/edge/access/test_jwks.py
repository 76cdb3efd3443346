"""The keys that an issuer publishes, with one that is away, slow, huge, or sends elsewhere."""

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from edge.access.freshness import AGE_SECONDS, APART_SECONDS
from edge.access.jwks import MAX_BYTES, NotFetched, PublishedKeys, fetch
from edge.access.keys import secrets_of
from tests.edge.kit.issuer import Issuer, Signer, jwks, publishing
from tests.edge.kit.tokens import SECRET

URL = "https://issuer.example/keys?secret=s3cr3t"


async def test_a_set_is_fetched_as_it_is() -> None:
    issuer = Issuer(Signer())
    async with publishing(issuer) as url:
        assert await fetch(url) == issuer.body
    [asked] = issuer.requests
    assert asked.headers["Accept-Encoding"] == "identity"
    assert "Authorization" not in asked.headers


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_nobody_is_sent_elsewhere(status: int) -> None:
    """The URL is fixed: where it leads could else be anywhere, inside too."""
    issuer = Issuer(Signer())
    async with publishing(issuer) as url:
        issuer.status, issuer.headers = status, {"Location": "/elsewhere"}
        with pytest.raises(
            NotFetched, match=f"{status}: it leads elsewhere, which is not followed: give the final URL"
        ):
            await fetch(url)
    assert issuer.paths == ["/keys"]


@pytest.mark.parametrize("status", [204, 404, 500, 503])
async def test_another_answer_is_none(status: int) -> None:
    issuer = Issuer()
    issuer.status = status
    async with publishing(issuer) as url:
        with pytest.raises(NotFetched, match=str(status)):
            await fetch(url)


async def test_a_huge_answer_is_left_at_the_limit() -> None:
    """Also one that says no length."""
    issuer = Issuer()
    async with publishing(issuer) as url:
        issuer.body = b" " * MAX_BYTES
        assert len(await fetch(url)) == MAX_BYTES
        issuer.body = b" " * (MAX_BYTES + 1)
        with pytest.raises(NotFetched, match="more than"):
            await fetch(url)


async def test_an_answer_is_not_inflated() -> None:
    """A little that is compressed may be very much."""
    issuer = Issuer()
    issuer.headers = {"Content-Encoding": "gzip"}
    async with publishing(issuer) as url:
        with pytest.raises(NotFetched, match="compressed"):
            await fetch(url)


async def test_a_slow_answer_is_none() -> None:
    issuer = Issuer()
    issuer.may_answer.clear()
    async with publishing(issuer) as url:
        with pytest.raises(NotFetched, match=r"within 0\.05 s"):
            await fetch(url, seconds=0.05)
        issuer.may_answer.set()


async def test_an_issuer_that_is_away_is_named_by_the_fault_alone() -> None:
    """The URL may have a secret, and a log may be read by many."""
    with pytest.raises(NotFetched) as raised:
        await fetch("http://127.0.0.1:1/keys?secret=s3cr3t")
    assert str(raised.value) == "it cannot be asked: Connection refused"


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://nowhere.invalid/keys?secret=s3cr3t", "its host's name is not known"),
        ("https://{}/keys?secret=s3cr3t", "TLS with it fails"),
        ("http://127.0.0.1:99999/keys?secret=s3cr3t", "[A-Z][A-Za-z]*(Error|URL)"),
    ],
)
async def test_what_is_in_the_way_is_said(url: str, cause: str) -> None:
    """Who set the URL has to know whether it is the name, the network or TLS."""
    async with publishing(Issuer()) as there:
        with pytest.raises(NotFetched) as raised:
            await fetch(url.format(there.split("/")[2]))
    assert re.fullmatch(f"it cannot be asked: {cause}", str(raised.value))


async def test_a_certificate_that_nobody_vouches_for_is_said(tmp_path: Path) -> None:
    """For it the operator has to do something else than for a port that does not speak TLS."""
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotFetched, match=r"^it cannot be asked: its certificate is not to be trusted$"):
            await fetch(f"https://127.0.0.1:{port}/keys?secret=s3cr3t")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate that only its own key vouches for."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, None)
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


async def test_a_set_without_a_key_that_can_be_used_is_warned_of() -> None:
    """Nobody can sign in then, and the answer looked good."""
    issuer = Issuer()
    issuer.body = b'{"keys":[{"kty":"oct","k":"AAAA"}]}'
    published = PublishedKeys(URL, outcomes=Counter(), fetch=issuer.fetch)
    with capture_logs() as logs:
        assert await published.ask()
    # It is asked for again soon: an edge on which everybody has to sign in waits for a first key.
    now = asyncio.get_running_loop().time()
    assert (published.had_keys, published._freshness.rest(now) <= APART_SECONDS) == (False, True)  # noqa: SLF001
    assert logs == [
        {
            "event": "sign_in.no_keys",
            "log_level": "warning",
            "why": "the JWK Set of JWT_JWKS_URL has no key that can be used",
            "left_out": 1,
        }
    ]


@asynccontextmanager
async def running(published: PublishedKeys) -> AsyncIterator[None]:
    """Keep keys fresh meanwhile."""
    task = asyncio.create_task(published.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


def known(published: PublishedKeys, *signers: Signer) -> list[bool]:
    """Tell of which there is a key."""
    return [published.keys.has("EdDSA", signer.kid) for signer in signers]


async def test_keys_are_fetched_at_the_start_and_stand_beside_those_that_are_given() -> None:
    one, outcomes = Signer(), Counter[str]()
    issuer = Issuer(one)
    published = PublishedKeys(URL, secrets_of(SECRET), outcomes=outcomes, fetch=issuer.fetch)
    assert (len(published.keys), published.wait) == (1, 0.0)
    async with running(published):
        assert await published.ask()
    assert (len(published.keys), known(published, one)) == (2, [True])
    assert (issuer.paths, outcomes) == ([URL], {"fetched": 1})
    assert APART_SECONDS - 5 < published.wait <= APART_SECONDS


async def test_all_who_want_a_key_share_one_question() -> None:
    issuer = Issuer(Signer())
    issuer.may_answer.clear()
    published = PublishedKeys(URL, outcomes=Counter(), fetch=issuer.fetch)
    asking = [asyncio.create_task(published.ask()) for _ in range(1000)]
    await issuer.was_asked.wait()
    assert published.wait == 0.0
    asking.pop().cancel()
    issuer.may_answer.set()
    assert await asyncio.gather(*asking) == [True] * 999
    assert issuer.asked == 1


async def test_those_who_waited_for_a_key_go_on_one_by_one() -> None:
    """Each verifies a token then, and joins: thousands would together be a turn of a second."""
    issuer, turns, turn = Issuer(Signer()), Counter[int](), 0
    issuer.may_answer.clear()
    published = PublishedKeys(URL, outcomes=Counter(), fetch=issuer.fetch)

    async def wait() -> None:
        assert await published.ask()
        turns[turn] += 1

    waiting = [asyncio.create_task(wait()) for _ in range(100)]
    await issuer.was_asked.wait()
    # One that leaves while it waits keeps nobody.
    waiting.pop(0).cancel()
    waiting.pop().cancel()
    issuer.may_answer.set()
    while not all(task.done() for task in waiting):
        turn += 1
        await asyncio.sleep(0)
    assert turns.total() == 98
    assert max(turns.values()) == 1
    assert await published.ask()


async def test_an_issuer_that_is_away_takes_no_key_away() -> None:
    one, outcomes = Signer(), Counter[str]()
    issuer = Issuer(one)
    published = PublishedKeys(URL, outcomes=outcomes, fetch=issuer.fetch)
    assert await published.ask()
    bodies = [b"", b'{"keys":7}']
    with capture_logs() as logs:
        for issuer.body in bodies:
            assert not await published.ask()
        issuer.is_away = True
        assert not await published.ask()
    assert known(published, one) == [True]
    assert outcomes == {"fetched": 1, "failed": 3}
    assert [line["event"] for line in logs] == ["sign_in.keys_not_fetched"] * 3
    assert all(line["why"].startswith("JWT_JWKS_URL: ") for line in logs)
    assert "s3cr3t" not in str(logs)


async def test_a_key_that_was_taken_back_is_gone() -> None:
    """Rotation: the new one is there, and the old one is not."""
    old, new = Signer("old"), Signer("new")
    issuer = Issuer(old)
    published = PublishedKeys(URL, outcomes=Counter(), fetch=issuer.fetch)
    await published.ask()
    issuer.body = jwks(new)
    await published.ask()
    assert known(published, old, new) == [False, True]


async def test_a_defect_is_logged_and_asked_over() -> None:
    """A task that ended would leave the keys to grow old, and all who wait without an answer."""

    async def fail(_url: str) -> bytes:
        raise ZeroDivisionError

    outcomes = Counter[str]()
    published = PublishedKeys(URL, outcomes=outcomes, fetch=fail)
    with capture_logs() as logs:
        assert not await published.ask()
    assert ([line["log_level"] for line in logs], outcomes) == (["error"], {"failed": 1})


async def test_keys_are_kept_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ten minutes, and every half a minute while the issuer is away."""
    issuer = Issuer(Signer())
    published = PublishedKeys(URL, outcomes=Counter(), fetch=issuer.fetch)
    slept: list[float] = []
    late = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            late.set()
            await asyncio.Event().wait()
        issuer.is_away = True
        # The clock is the loop's: what was asked is made as old as was slept for.
        published._freshness._asked_at -= seconds  # noqa: SLF001

    monkeypatch.setattr("edge.access.jwks.asyncio.sleep", sleep)
    async with running(published):
        await late.wait()
    assert issuer.asked == 3
    assert [round(seconds) for seconds in slept] == [AGE_SECONDS, APART_SECONDS, APART_SECONDS]


async def test_who_stops_leaves_no_question_behind() -> None:
    issuer = Issuer()
    issuer.may_answer.clear()
    published = PublishedKeys(URL, outcomes=Counter(), fetch=issuer.fetch)
    async with running(published):
        await issuer.was_asked.wait()
    assert len(asyncio.all_tasks()) == 1
