"""Tickets: signed capabilities to leave the box, carried in `Proxy-Authorization` (docs/tickets.md).

The broker signs (`signer`), scanners carry (`proxy`), the gateway verifies (`keys`).  The gateway
gets this package and its helpers only, so it imports the standard library, cryptography and msgspec only.
"""
