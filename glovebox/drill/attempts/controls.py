"""What a scanner with its tickets may do."""

from __future__ import annotations

from glovebox.drill.scanner import Scanner, control


@control("a call of STS with the brokered key and the ticket")
def caller_identity(scanner: Scanner) -> str:
    url = f"https://{scanner.allowed}/?Action=GetCallerIdentity&Version=2011-06-15"
    return scanner.inside(scanner.signed("GET", url, "sts"))


@control("a tunnel to the address of the site's ticket")
def site(scanner: Scanner) -> str:
    brief = scanner.brief
    data = f"GET / HTTP/1.1\r\nHost: {brief.site}\r\n\r\n".encode()
    return scanner.inside(
        data,
        target=f"{brief.origin}:443",
        name=brief.site,
        ticket=brief.site_ticket,
        port=brief.site_port,
    )
