"""Lines 16 and 23: the gateway without a ticket, with one that is not good, or with one for elsewhere."""

from __future__ import annotations

from glovebox.drill.scanner import Scanner, attempt


def _with(scanner: Scanner, ticket: str) -> str:
    url = f"https://{scanner.allowed}/?Action=GetCallerIdentity&Version=2011-06-15&x={scanner.marker}"
    return scanner.inside(scanner.signed("GET", url, "sts"), ticket=ticket)


@attempt(16, "no ticket")
def none(scanner: Scanner) -> str:
    return _with(scanner, "")


@attempt(16, "a ticket signed with the attacker's own key")
def forged(scanner: Scanner) -> str:
    return _with(scanner, scanner.brief.bad_tickets["forged"])


@attempt(16, "a ticket that claims the broker's key and is signed with the attacker's")
def forged_kid(scanner: Scanner) -> str:
    return _with(scanner, scanner.brief.bad_tickets["forged_kid"])


@attempt(16, "another scan's signature under our claims")
def mixed(scanner: Scanner) -> str:
    return _with(scanner, scanner.brief.bad_tickets["mixed"])


@attempt(16, "a ticket that has ended")
def expired(scanner: Scanner) -> str:
    return _with(scanner, scanner.brief.bad_tickets["expired"])


@attempt(16, "a ticket of tomorrow")
def early(scanner: Scanner) -> str:
    return _with(scanner, scanner.brief.bad_tickets["early"])


@attempt(16, "a ticket with one character changed")
def changed(scanner: Scanner) -> str:
    user, _, password = scanner.brief.ticket.partition(":")
    return _with(scanner, f"{user[:-2]}{'A' if user[-2] != 'A' else 'B'}{user[-1]}:{password}")


@attempt(16, "a ticket of 12,000 characters")
def huge(scanner: Scanner) -> str:
    return _with(scanner, "A" * 12_000 + ":" + "B" * 86)


@attempt(16, "another scan's ticket, pinned to its key, with our key")
def other_scan(scanner: Scanner) -> str:
    return _with(scanner, scanner.brief.bad_tickets["other_scan"])


@attempt(16, "a site's ticket for AWS")
def site_for_aws(scanner: Scanner) -> str:
    return _with(scanner, scanner.brief.site_ticket)


@attempt(16, "an AWS ticket at the port for sites")
def aws_for_site(scanner: Scanner) -> str:
    return _tunnel(scanner, f"{scanner.brief.evil}:443", scanner.brief.ticket)


@attempt(16, "a site's ticket for another address")
def site_other_address(scanner: Scanner) -> str:
    return _tunnel(scanner, f"{scanner.brief.evil}:443", scanner.brief.site_ticket)


@attempt(16, "a site's ticket for a name")
def site_name(scanner: Scanner) -> str:
    return _tunnel(scanner, f"{scanner.marker}.evil.example:443", scanner.brief.site_ticket)


@attempt(23, "the name of the site's ticket, which leads elsewhere by now")
def site_flipped(scanner: Scanner) -> str:
    """`launch` resolved it once; whoever asked again would be sent to the attacker (DNS rebinding)."""
    return _tunnel(scanner, f"{scanner.brief.site}:443", scanner.brief.site_ticket)


@attempt(16, "a site's ticket for the metadata service")
def site_metadata(scanner: Scanner) -> str:
    return _tunnel(scanner, f"{scanner.brief.metadata[0]}:80", scanner.brief.site_ticket)


def _tunnel(scanner: Scanner, target: str, ticket: str) -> str:
    said, line = scanner.tunnel(target, ticket=ticket, port=scanner.brief.site_port)
    with line:
        if " 200 " not in said + " ":
            return said
        return said + repr(scanner.ask(line, f"GET /{scanner.marker} HTTP/1.1\r\n\r\n".encode())[:60])
