"""Why an envelope is not sealed or not opened.

    RefusedError
    └── EnvelopeError
        ├── MalformedClaimError         no public key of ours, in its one spelling
        ├── MalformedEnvelopeError      no envelope of ours, in its one spelling
        ├── ForeignEnvelopeError        sealed to another key, scan or attempt, or changed on the way
        ├── KeyUsedError                the key pair has opened its one envelope
        ├── MessageTooLongError         more than an envelope carries
        └── MalformedCredentialsError   what was sealed is no set of credentials for this scan

No message quotes a key, an envelope or what was in it: whoever refuses them also logs.
"""

from __future__ import annotations

from typing import ClassVar

from glovebox.errors import RefusedError


class EnvelopeError(RefusedError):
    """Credentials were not handed over.  `word` is the failure class, `[a-z_]` only."""

    word: ClassVar[str] = "envelope"
    sentence: ClassVar[str] = "The envelope is refused."
    advice: ClassVar[str] = "Start the scan again: a new attempt makes a new key."

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or self.sentence, fix=self.advice)


class MalformedClaimError(EnvelopeError):
    """No public key of ours, in its one spelling."""

    word = "claim_malformed"
    sentence = "The claim holds no public key."
    advice = "Run inlet and redeem of one release; if they are, see who else wrote the claim."


class MalformedEnvelopeError(EnvelopeError):
    """No envelope of ours, in its one spelling."""

    word = "envelope_malformed"
    sentence = "What was fetched is no envelope."
    advice = "Run inlet and redeem of one release; if they are, see who else wrote the hand-off."


class ForeignEnvelopeError(EnvelopeError):
    """Sealed to another key, scan or attempt, or changed on the way; which of them cannot be told."""

    word = "envelope_foreign"
    sentence = "The envelope is sealed to another key, scan or attempt, or was changed."
    advice = "See in the log of redeem who claimed this scan, and when."


class KeyUsedError(EnvelopeError):
    """The key pair has opened its one envelope."""

    word = "envelope_key_used"
    sentence = "This key has opened its one envelope."


class MessageTooLongError(EnvelopeError):
    """More than an envelope carries."""

    word = "envelope_too_long"
    sentence = "The message is longer than an envelope carries."
    advice = "Name fewer buckets in one scan: cut it into several."


class MalformedCredentialsError(EnvelopeError):
    """What was sealed is no set of credentials for this scan."""

    word = "credentials_malformed"
    sentence = "What the envelope held is no set of credentials for this scan."
    advice = "Run inlet and redeem of one release."
