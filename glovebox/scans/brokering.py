"""What `redeem` needs of the world around it; the adapters and the tests' fakes give it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOrder:
    """One session of one audit role, for one scan."""

    role_arn: str
    name: str
    source_identity: str
    external_id: str
    seconds: int
    policy: str
    """JSON; the session may do what the role, this and the managed policies all allow."""
    managed_policies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKeys:
    """What AWS gave; only the key's id is shown."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires: int
    """Epoch seconds."""


class Sessions(Protocol):
    def assume(self, order: SessionOrder) -> SessionKeys:
        """Raises RefusedError where AWS says no for good, UpstreamError where a later try may do."""
        ...


class Claims(Protocol):
    """The bucket that tasks put their claims into."""

    def read(self, key: str, limit: int) -> bytes:
        """At most `limit` + 1 bytes.  Raises NotFoundError."""
        ...

    def writable_url(self, key: str, seconds: int) -> str:
        """A presigned PUT of one object of a claim's length, once: it needs `If-None-Match: *`."""
        ...


class Envelopes(Protocol):
    """The part of the hand-off that `redeem` may write."""

    def put_once(self, key: str, body: bytes) -> None:
        """Raises ConflictError where the object is there already."""
        ...
