"""Why a ticket is refused.

    RefusedError
    └── TicketError
        ├── TooLongTicketError        longer than any ticket that we issue; nothing of it was read
        ├── MalformedTicketError      not the one way in which these claims are written
        ├── UnknownKeyError           signed, it says, by a key that this gateway does not hold
        ├── BadSignatureError         the signature is not that key's over these claims
        ├── NotYetValidError          before its first second, or issued in the future
        ├── ExpiredTicketError        after its last second
        └── LifetimeTooLongError      valid for longer than its profile allows

No message quotes a ticket: what refuses them also logs.
"""

from __future__ import annotations

from typing import ClassVar

from glovebox.errors import RefusedError


class TicketError(RefusedError):
    """A ticket does not open the gateway.  `word` is the reason in the egress ledger, `[a-z_]` only."""

    word: ClassVar[str] = "ticket"
    sentence: ClassVar[str] = "The ticket is refused."
    advice: ClassVar[str] = "Start the scan again: a new one gets a new ticket."

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or self.sentence, fix=self.advice)


class TooLongTicketError(TicketError):
    """Longer than any ticket that we issue."""

    word = "ticket_too_long"
    sentence = "The ticket is longer than tickets are."
    advice = "Name fewer buckets or addresses in one ticket: cut the scan into several."


class MalformedTicketError(TicketError):
    """Not the one way in which claims and signatures are written."""

    word = "ticket_malformed"
    sentence = "This is no ticket."
    advice = "Send the ticket as it was issued, as the user name and password of the proxy."


class UnknownKeyError(TicketError):
    """Signed by a key that this gateway does not hold."""

    word = "ticket_unknown_key"
    sentence = "The ticket names a key that the gateway does not hold."
    advice = "Give the gateway the broker's public key before the broker signs with it."


class BadSignatureError(TicketError):
    """The signature is not that key's over these claims."""

    word = "ticket_bad_signature"
    sentence = "The ticket's signature does not fit its claims."
    advice = "Look at what the scan does: somebody changed or made up a ticket."


class NotYetValidError(TicketError):
    """Before its first second, or issued in the future."""

    word = "ticket_not_yet_valid"
    sentence = "The ticket is not valid yet."
    advice = "Compare the clocks of broker and gateway; wait until the ticket's first second."


class ExpiredTicketError(TicketError):
    """After its last second."""

    word = "ticket_expired"
    sentence = "The ticket has expired."


class LifetimeTooLongError(TicketError):
    """Valid for longer than its profile allows."""

    word = "ticket_lifetime"
    sentence = "The ticket is valid for longer than its profile allows."
    advice = "Sign for at most the profile's lifetime, from the second of signing."
