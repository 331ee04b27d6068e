"""The network of the stacks as they are now in this checkout."""

from __future__ import annotations

import json

from glovebox.lab.lab import CHECKOUT
from glovebox.lab.template import Network, read_template
from glovebox.local.assembly import synthesized

STACK = "Glovebox-Perimeter"
_NO_BUNDLES = {"aws:cdk:bundling-stacks": list[str]()}
"""Only the template counts here: no function's code is staged."""


def perimeter() -> Network:
    """The Perimeter stack's network, synthesized anew only if a source has changed (seconds).

    Raises UpstreamError where synthesis fails, InputError where the lab cannot read the template.
    """
    assembly = synthesized(CHECKOUT, CHECKOUT / ".glovebox" / "perimeter", _NO_BUNDLES)
    template = assembly.folder / f"{STACK}.template.json"
    return read_template(json.loads(template.read_text(encoding="utf-8")))
