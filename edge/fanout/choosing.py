"""What becomes of a client that chooses which posts it sees: it goes on from where it is, with another selection."""

from edge.fanout.agenda import Kind
from edge.fanout.cohorts import Cohorts
from edge.fanout.member import Member
from edge.feed.selection import Selection


def choose(cohorts: Cohorts[Member], member: Member, selection: Selection | None, now: float) -> bool:
    """Have a client see what is selected, behind what it was sent; tell whether that could be done.

    It cannot while the client is still to be greeted and takes nothing. Else whatever the client is told next stands
    between what it was sent and what is selected now.
    """
    session, link = member.session, member.link
    if not session.is_greeted and link.unsent_since is not None:
        return False
    cohorts.filters.enter(selection)
    cohorts.filters.leave(session.selection)
    is_paused = member in cohorts.paused
    cohorts.remove(member)
    greeting, session.selection = session.progress.greeting, selection
    if greeting:
        # What is told next would else follow posts that are sent together with the greeting.
        session.skip_to(session.position, target=session.progress.target, replay=session.replay)
        link.write(greeting)
        member.tell_owed()
    if is_paused or link.unsent_since is not None:
        cohorts.pause(member)
    else:
        cohorts.place(member, Kind.LAGGARDS, now)
    return True
