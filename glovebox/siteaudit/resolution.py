"""What DNS says of a name: made by whoever resolves, read by whoever audits."""

from __future__ import annotations

from msgspec import Struct

from glovebox.siteaudit.record import Dns, Failure


class Resolution(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """With addresses there is no failure, and with a failure no address."""

    dns: Dns
    failure: Failure | None = None
    warnings: tuple[Failure, ...] = ()
    """Private addresses beside public ones: left out, and said."""
