"""All attempts; importing this package puts them on the list, in the order of the threat model."""

from glovebox.drill.attempts import aws, controls, gateway, inner, network, tickets
from glovebox.drill.scanner import ATTEMPTS

__all__ = ["aws", "controls", "gateway", "inner", "network", "tickets"]

ATTEMPTS.sort(key=lambda listed: listed.line)
