"""What a scanner with its tickets may do."""

from __future__ import annotations

from glovebox.drill.scanner import Scanner, control


@control("a call of STS with the brokered key and the ticket")
def caller_identity(scanner: Scanner) -> str:
    url = f"https://{scanner.allowed}/?Action=GetCallerIdentity&Version=2011-06-15"
    return scanner.inside(scanner.signed("GET", url, "sts"))


@control("a tunnel to the address of the site's ticket")
def site(scanner: Scanner) -> str:
    data = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"
    brief = scanner.brief
    return scanner.inside(
        data,
        target=f"{brief.origin}:443",
        name="site.example",
        ticket=brief.site_ticket,
        port=brief.site_port,
    )
