"""What DNS says of a name: made by whoever resolves, read by whoever audits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from glovebox.siteaudit.record import Dns, Failure


class Resolution(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """With addresses there is no failure, and with a failure no address."""

    dns: Dns
    failure: Failure | None = None
    warnings: tuple[Failure, ...] = ()
    """Private addresses beside public ones: left out, and said."""


Resolve = Callable[[str], Awaitable[Resolution]]
"""What is known of a name; raises NotGivenError where names are given and this is none of them."""
