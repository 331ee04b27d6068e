"""Reading IP packets as far as a flow log does: who, to whom, which protocol and port, and the payload."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

ICMP, TCP, UDP, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 58, 132, 136
PROTOCOLS = {ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMPV6: "icmpv6", SCTP: "sctp", UDPLITE: "udplite"}
_SYN, _ACK = 0x02, 0x10
_ECHO_REQUESTS = {ICMP: 8, ICMPV6: 128}


@dataclass(frozen=True, slots=True)
class Packet:
    protocol: str
    source: str
    target: str
    port: int | None
    payload: bytes
    opens: bool
    """Whether it begins something: a TCP connection, an echo request, or any datagram."""


def parse(data: bytes) -> Packet | None:
    """The packet that begins at its IP header, or `None` for what is no IP packet."""
    if len(data) >= 20 and data[0] >> 4 == 4:
        body = data[(data[0] & 15) * 4 :]
        return _packet(data[9], str(IPv4Address(data[12:16])), str(IPv4Address(data[16:20])), body)
    if len(data) >= 40 and data[0] >> 4 == 6:
        return _packet(data[6], str(IPv6Address(data[8:24])), str(IPv6Address(data[24:40])), data[40:])
    return None


def _packet(number: int, source: str, target: str, body: bytes) -> Packet:
    protocol = PROTOCOLS.get(number, str(number))
    if number in _ECHO_REQUESTS:
        opens = bool(body) and body[0] == _ECHO_REQUESTS[number]
        return Packet(protocol, source, target, None, body[8:], opens)
    if number not in PROTOCOLS or len(body) < 4:
        return Packet(protocol, source, target, None, body, True)
    (port,) = struct.unpack_from(">H", body, 2)
    if number != TCP:
        return Packet(protocol, source, target, port, body[8:], True)
    flags = body[13] if len(body) > 13 else 0
    return Packet(protocol, source, target, port, b"", flags & (_SYN | _ACK) == _SYN)
