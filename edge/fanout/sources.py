"""What clients read: the log, or a replay of what it has no more.

Laws: a client of a replay is one of its readers, and nobody else is. It goes on in the log as soon as that has what
follows its position, which is the same place in both.
"""

from collections.abc import Iterable

from edge.fanout.member import Member
from edge.fanout.session import Progress
from edge.feed.log import Log
from edge.feed.position import Position


def log_of(progress: Progress, live: Log) -> Log:
    """Return what is read there: ``live`` unless it is a replay."""
    return live if progress.replay is None else progress.replay.log


def enter(member: Member, live: Log) -> None:
    """Have a client that has come be a reader of its replay, if it reads one, unless it can go on in the log at once.

    A replay that has come to the log's end has nothing to send it by which it would be found out later.
    """
    settle(member.session.progress, (member,), live)
    if member.session.replay is not None:
        member.session.replay.enter(member)


def leave(member: Member) -> None:
    """Have a client read no replay any more."""
    if member.session.replay is not None:
        member.session.replay.leave(member)


def settle(progress: Progress, members: Iterable[Member], live: Log) -> None:
    """Have clients that share this progress go on in the log, if they can."""
    if progress.replay is not None and meets(live, progress.position):
        for member in members:
            progress.replay.leave(member)
        progress.replay = None


def meets(log: Log, position: Position) -> bool:
    """Tell whether a reader of a replay can go on in the log, where it stands."""
    return log.shows_what_comes and log.kept.has(position)
