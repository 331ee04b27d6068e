"""The lab's flow log: what the router dropped, and what it sent on, whoever let it.

    python -m glovebox.lab.witness JOURNAL

Runs in the router's namespace.  Drops come from nftables (NFLOG, `nfnetlink_log.h`).  What passes is read
from the wires, apart from any rule, so that it is seen as well once the rules are gone.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from glovebox.lab.journal import Journal, shown
from glovebox.lab.packets import Packet, parse
from glovebox.lab.rules import LOG_GROUP

# linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nfnetlink_log.h, linux/if_packet.h
_NETLINK_NETFILTER = 12
_SUBSYSTEM_LOG = 4
_MSG_PACKET, _MSG_CONFIG = 0, 1
_CONFIG_COMMAND, _CONFIG_MODE, _CONFIG_THRESHOLD = 1, 2, 5
_COMMAND_BIND = 1
_COPY_PACKET = 2
_FLAG_REQUEST = 1
_ATTRIBUTE_PAYLOAD, _ATTRIBUTE_PREFIX = 9, 10
_TYPE_MASK = 0x3FFF
_ETH_P_IP, _ETH_P_IPV6, _ETH_P_ALL = 0x0800, 0x86DD, 0x0003
_PACKET_OUTGOING = 4
_LINK_MULTICAST = "ff02:"
"""What every IPv6 interface says of itself when it comes up (RFC 4861, RFC 3810)."""
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_MAX_DATAGRAM = 65_536


def main(arguments: list[str]) -> NoReturn:
    journal = Journal(Path(arguments[0]))
    drops = _drop_log()
    wires = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    journal.write(event="ready")
    while True:
        readable, _, _ = select.select([drops, wires], [], [])
        if drops in readable:
            for reason, packet in _dropped(drops.recv(_MAX_DATAGRAM)):
                _write(journal, "dropped", packet, reason=reason)
        if wires in readable:
            data, (interface, protocol, kind, *_) = wires.recvfrom(_MAX_DATAGRAM)
            if kind != _PACKET_OUTGOING or protocol not in (_ETH_P_IP, _ETH_P_IPV6):
                continue
            sent = parse(data)
            if sent is not None and sent.opens and not sent.target.startswith(_LINK_MULTICAST):
                _write(journal, "passed", sent, towards=interface)


def _write(journal: Journal, event: str, packet: Packet, **more: str) -> None:
    journal.write(
        event=event,
        protocol=packet.protocol,
        source=packet.source,
        target=packet.target,
        port=packet.port,
        payload=shown(packet.payload),
        **more,
    )


def _drop_log() -> socket.socket:
    """A socket that receives what `log group` of our table logs, whole packets."""
    log = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    log.bind((0, 0))
    for attribute, value in (
        (_CONFIG_COMMAND, struct.pack("=B", _COMMAND_BIND)),
        (_CONFIG_MODE, struct.pack(">IBB", _MAX_DATAGRAM - 1, _COPY_PACKET, 0)),
        # Without it the kernel gathers packets for a second.
        (_CONFIG_THRESHOLD, struct.pack(">I", 1)),
    ):
        length = _ATTRIBUTE.size + len(value)
        body = (
            struct.pack(">BBH", socket.AF_UNSPEC, 0, LOG_GROUP) + _ATTRIBUTE.pack(length, attribute) + value
        )
        body += bytes(-len(body) % 4)
        kind = _SUBSYSTEM_LOG << 8 | _MSG_CONFIG
        log.send(_HEADER.pack(_HEADER.size + len(body), kind, _FLAG_REQUEST, 0, 0) + body)
    return log


def _dropped(data: bytes) -> Iterator[tuple[str, Packet]]:
    """Reason and packet of each message in one datagram of netlink."""
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            return
        message, data = data[_HEADER.size : length], data[length + (-length % 4) :]
        if kind != _SUBSYSTEM_LOG << 8 | _MSG_PACKET:
            continue
        attributes = _attributes(message[4:])
        packet = parse(attributes.get(_ATTRIBUTE_PAYLOAD, b""))
        if packet is not None:
            reason = attributes.get(_ATTRIBUTE_PREFIX, b"").rstrip(b"\0").decode("ascii", "replace").strip()
            yield reason, packet


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[_ATTRIBUTE.size : length]
        data = data[length + (-length % 4) :]
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
