"""Frees what a connection consisted of as soon as it is lost, without a collector's looking for it."""


def let_go(transport: object) -> None:
    """Cut the cycle of a lost connection's transport and its own method, which Python 3.11 does not cut in close().

    From 3.12 on this does nothing.
    """
    transport._read_ready_cb = None  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way
