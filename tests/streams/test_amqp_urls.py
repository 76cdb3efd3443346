"""``AMQP_URL`` names one host or several; what aio-pika would stumble over is a sentence."""

import pytest
from yarl import URL

from streams.amqp_urls import amqp_urls, completed


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("amqp://guest:guest@localhost:5672/", ["amqp://guest:guest@localhost:5672/"]),
        ("amqps://broker", ["amqps://broker"]),
        ("amqp://u:p@[::1]:5672/%2F", ["amqp://u:p@[::1]:5672/%2F"]),
        ("amqp://u:p@h1:5672,h2:5673/v", ["amqp://u:p@h1:5672/v", "amqp://u:p@h2:5673/v"]),
        ("amqps://h1,[::2],h3?heartbeat=5", ["amqps://h1?heartbeat=5", "amqps://[::2]?heartbeat=5", "amqps://h3?heartbeat=5"]),
        ("amqp://u:a,b@h1,h2/v,w", ["amqp://u:a,b@h1/v,w", "amqp://u:a,b@h2/v,w"]),
        ("amqp://u:a@b@h/", ["amqp://u:a%40b@h/"]),
        ("amqp://u:%2F%3F%23@h/", ["amqp://u:%2F%3F%23@h/"]),
    ],
)  # fmt: skip
def test_each_host_gets_a_url(text: str, urls: list[str]) -> None:
    assert amqp_urls(text) == urls


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("http://u:secret@h/", "must look like amqp://user:password@host:port/, or amqps://"),
        ("amqp:u:secret@h/", "must look like amqp://user:password@host:port/, or amqps://"),
        *(
            (f"amqp://u:{password}@h:5672/", "holds a / ? # [ or ] in its user name or password; write %2F")
            for password in ("se/cret", "se?cret", "se#cret", "se[cret", "secret]")
        ),
        *(
            (
                f"amqp://u:secret@{host}/",
                "must look like amqp://user:password@host:port/, or amqps://; a host or a port",
            )
            for host in ("h:5432x", "h:0", "h:99999", "h:-1", "", ":5672", "h1,,h2", "h1,h2:x", "[::1", "::1", "h\\i")
        ),
        ("amqp://u:sec ret@h/", "must hold no spaces"),
        ("amqp://u:secret@h/\n", "must hold no spaces"),
        ("amqp://u:secret@h/#v", "holds a # behind its host; write %23 instead"),
    ],
)
def test_what_is_wrong_is_a_sentence_without_the_password(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as raised:
        amqp_urls(text)
    assert str(raised.value).startswith(sentence)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("amqp://u:p@h/v", "amqp://u:p@h:5672/v?name=postcast+on+host&heartbeat=10"),
        ("amqps://u:p@h/", "amqps://u:p@h:5671/?name=postcast+on+host&heartbeat=10"),
        ("amqp://h:5673/?heartbeat=30", "amqp://h:5673/?heartbeat=30&name=postcast+on+host"),
        ("amqp://h/?name=mine&heartbeat=0", "amqp://h:5672/?name=mine&heartbeat=0"),
        (
            "amqps://u:p%2Fx@[::1]/%2Fv?cafile=/ca.pem",
            "amqps://u:p%2Fx@[::1]:5671/%2Fv?cafile=/ca.pem&name=postcast+on+host&heartbeat=10",
        ),
    ],
)
def test_what_a_url_says_itself_wins(given: str, used: str) -> None:
    assert str(completed(URL(given), "postcast on host")) == used
