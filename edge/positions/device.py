"""A device of a subject, as one session has it: what its acknowledged position is stored under."""


class Device:
    """A session's device: ``subject`` is who signed in, ``name`` what the client calls the device.

    ``stored`` is the newest position that this session knows to be stored, a cursor's token; empty for none.
    """

    __slots__ = ("name", "stored", "subject")

    def __init__(self, subject: str, name: str, stored: str = "") -> None:
        self.subject = subject
        self.name = name
        self.stored = stored
