"""What the inlet hands to the drill as `request.json`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from glovebox.drill.brief import Brief


class DrillRequest(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Told from a site's request by its `kind`."""

    kind: Literal["drill"] = "drill"
    scan_id: Annotated[str, Meta(max_length=64)]
    attempt: Literal[1] = 1
    brief: Brief
