"""All attempts; importing this package puts them on the list, in the order of the threat model."""

from glovebox.drill.attempts import aws, controls, credentials, gateway, inner, network, storage, tickets
from glovebox.drill.scanner import ATTEMPTS

__all__ = ["aws", "controls", "credentials", "gateway", "inner", "network", "storage", "tickets"]

ATTEMPTS.sort(key=lambda listed: listed.line)
