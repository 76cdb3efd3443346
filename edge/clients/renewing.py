"""Has a session go on with another token of its client's, or says why not.

Laws: what is not done has changed nothing, and the old token stays until its end. A session is its subject's: no token
makes it another's, and one that began without a token has none. The client's own filter stays; of that it sees what the
new token allows, from its own place on. Nothing of a token stands in an answer.
"""

from dataclasses import replace

from edge.access.grant import Grant, TokenRefused
from edge.clients.owed import Answer
from edge.clients.view import view
from edge.fanout.link import Client
from edge.fanout.session import Session
from edge.feed.selection import Selections
from edge.wire.messages import authorized
from edge.wire.requests import Id, Refused


def anonymous(session: Session, id: Id) -> Refused | None:  # noqa: A002 - as it is called in the message
    """Refuse a token, whatever it says, where nobody has signed in."""
    if session.grant is not None:
        return None
    return Refused(id, "wrong_subject", "this connection is nobody's: connect with the token")


def renewed(
    session: Session,
    client: Client,
    selections: Selections,
    id: Id,  # noqa: A002
    found: Grant | TokenRefused,
) -> Answer:
    """Go on with what a token allows, which was found out."""
    if isinstance(found, TokenRefused):
        return Refused(id, "token_refused" if found.retry_after is None else "busy", found.sentence)
    if session.grant is None or found.subject != session.grant.subject:
        return Refused(id, "wrong_subject", "the token is another user's")
    claim = None if found.claim is None else selections.the(found.claim)
    grant = replace(found, claim=claim)
    seen = None if claim is None and found.claim is not None else view(selections, grant, session.asked)
    if seen is None:
        return Refused(id, "busy", "the server has as many authors in filters as it takes")
    if not client.renew(grant, seen.selection):
        return Refused(id, "busy", "the connection takes nothing now; ask again in a second")
    return authorized(id, grant.expires_at)
