"""What becomes of a client that its replay does not wait for any longer: it may have come as far as the log reaches."""

from edge.fanout.agenda import Kind
from edge.fanout.cohorts import Cohorts
from edge.fanout.member import Member
from edge.fanout.sources import meets, settle
from edge.feed.log import Log


def goes_on(cohorts: Cohorts[Member], member: Member, log: Log, now: float) -> bool:
    """Have a client of a replay go on in the log, where that has what follows; tell whether it does."""
    session = member.session
    if not meets(log, session.position):
        return False
    cohorts.remove(member)
    settle(session.progress, (member,), log)
    if member.link.unsent_since is not None:
        cohorts.pause(member)
    else:
        cohorts.place(member, Kind.LAGGARDS, now)
    return True
