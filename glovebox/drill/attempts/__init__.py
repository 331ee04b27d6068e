"""All attempts; importing this package puts them on the list."""

from glovebox.drill.attempts import aws, gateway, inner, network, tickets

__all__ = ["aws", "gateway", "inner", "network", "tickets"]
