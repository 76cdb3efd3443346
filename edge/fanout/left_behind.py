"""What becomes of a client that its replay does not wait for any longer: it may have come as far as the log reaches."""

from edge.fanout.agenda import Kind
from edge.fanout.cohorts import Cohorts
from edge.fanout.member import Member
from edge.fanout.sources import meets, settle
from edge.feed.log import Log


def goes_on(cohorts: Cohorts[Member], member: Member, log: Log, now: float) -> bool:
    """Have a client go on in the log, where it has what follows; tell whether it does.

    It does also where it went on there already, before its replay could say so.
    """
    session = member.session
    if session.replay is None:
        return True
    if not meets(log, session.position):
        return False
    cohorts.remove(member)
    settle(session.progress, (member,), log)
    if member.link.unsent_since is not None:
        cohorts.pause(member)
    else:
        cohorts.place(member, Kind.LAGGARDS, now)
    return True
