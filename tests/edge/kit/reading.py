"""A client that is served alone."""

from edge.fanout.session import Session
from edge.feed.log import Log


def take(session: Session, log: Log, limit: int) -> bytes:
    """Return what a client is sent next; nothing once the log has moved past it."""
    if has_fallen_behind(session, log):
        return b""
    chunk = log.read(session.position, session.reading, limit)
    session.progress.move_on(chunk)
    data, session.progress.greeting = session.progress.greeting + chunk.data, b""
    return data


def has_fallen_behind(session: Session, log: Log) -> bool:
    """Tell whether the log has moved past a client."""
    return session.position < log.tail
