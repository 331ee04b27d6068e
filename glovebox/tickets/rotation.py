"""When the key that signs tickets changes (docs/tickets.md)."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from glovebox.errors import ConfigurationError
from glovebox.rotation import Private, Rule
from glovebox.tickets.claims import MAX_ACCOUNT_LIFETIME, MAX_SITE_LIFETIME, MAX_SKEW
from glovebox.tickets.signer import Signer

SIGNING_LAG = timedelta(minutes=5)
"""For so long a signer may go on with a key that it has read."""
PUBLISH_BEFORE = timedelta(hours=1)
"""Gateways ask every five minutes; twelve of their tries may fail before a ticket does."""
RETIRE_AFTER = timedelta(seconds=max(MAX_SITE_LIFETIME, MAX_ACCOUNT_LIFETIME) + MAX_SKEW) + SIGNING_LAG
"""From a key's last moment in the secret to the end of the last ticket that it may have signed."""
ROTATE_AFTER = timedelta(days=30)
"""Long before anybody wonders, and often enough that the way is well trodden."""
OVERDUE = timedelta(days=2)
"""Beyond that; then an alarm is raised."""


def private_key(text: str) -> Private | None:
    """The signing key that a secret holds; `None` where it holds none."""
    try:
        signer = Signer.from_pem(text.encode())
    except ConfigurationError:
        return None
    public = signer.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Private(text, public.decode())


def new_key() -> str:
    """A fresh key as the secret holds it: PEM, PKCS #8."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _why_due(_key: Private, since: datetime, now: datetime) -> str | None:
    age = now - since
    return f"it signs for {age.days} days" if age >= ROTATE_AFTER else None


def _overdue(_key: Private, since: datetime, now: datetime) -> bool:
    return now - since >= ROTATE_AFTER + OVERDUE


RULE = Rule(publish_before=PUBLISH_BEFORE, retire_after=RETIRE_AFTER, why_due=_why_due, overdue=_overdue)
