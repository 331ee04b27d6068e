"""Names in the lab: the internet's name server, where anybody's zone may lie, and the resolver of the VPCs.

    python -m glovebox.lab.names JOURNAL ADDRESS,ADDRESS
    python -m glovebox.lab.names JOURNAL ADDRESS,ADDRESS zone ZONE
    python -m glovebox.lab.names JOURNAL ADDRESS,ADDRESS firewall FIREWALL

With a ZONE (a JSON file, name → addresses) the internet holds these names and no others.  With a FIREWALL it
is the resolver of the VPCs, which stands in for Route 53's: it judges each question by the DNS firewall of
the VPC that it came from (a JSON file, VPC's network → rules), logs it, and forwards what is allowed.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import NoReturn

from glovebox.farm.dns import Answer, NameServer, question_of
from glovebox.lab.journal import Journal
from glovebox.lab.plan import EVIL_ADDRESS, METADATA_ADDRESSES, NAME_SERVER, ORIGIN_ADDRESS, Plan
from glovebox.lab.template import NameRule

REBOUND = "kms.us-east-1.amazonaws.com"
"""An allowed name that somebody has made lead to the metadata service."""
ALLOWED_SUFFIX = ".amazonaws.com"
_PORT = 53
_MAX_MESSAGE = 65_535
_PATIENCE = 2.0
_NAME_ERROR = 0x8183
"""Flags of an answer: no such name, recursion available (RFC 1035, section 4.1.1)."""


class Internet(NameServer):
    """Every name exists: Amazon's lead to the origin, all others to the attacker.

    The PTR record of the attacker's address names an allowed host: it is the attacker's to write.
    """

    def __init__(self) -> None:
        super().__init__({})

    def answer(self, name: str) -> Answer:
        if name.endswith(".arpa"):
            return Answer(pointer="s3.us-east-1.amazonaws.com")
        if name == REBOUND:
            return Answer(METADATA_ADDRESSES[:1])
        return Answer((ORIGIN_ADDRESS if name.endswith(ALLOWED_SUFFIX) else EVIL_ADDRESS,))


class Resolver:
    """Forwards what the firewall of the asker's VPC allows; a VPC without one asks freely."""

    def __init__(self, firewall: Mapping[IPv4Network, tuple[NameRule, ...]], journal: Journal) -> None:
        self._firewall = firewall
        self._journal = journal

    def reply(self, message: bytes, client: str) -> bytes | None:
        question = question_of(message)
        if question is None:
            self._journal.write(event="query", name="", client=client, action="REFUSED")
            return None
        name, kind, section = question
        action = self._action(name, client)
        self._journal.write(event="query", name=name, kind=kind, client=client, action=action)
        if action == "ALLOW":
            return _ask(message)
        return message[:2] + _NAME_ERROR.to_bytes(2, "big") + b"\0\1\0\0\0\0\0\0" + section

    def _action(self, name: str, client: str) -> str:
        for network, rules in self._firewall.items():
            if ip_address(client) in network:
                return next((rule.action for rule in rules if _matches(rule, name)), "ALLOW")
        return "ALLOW"


def firewall_file(plan: Plan) -> str:
    """The DNS firewalls of the plan's template, as the resolver reads them."""
    vpcs = plan.network.vpcs
    rules = {
        str(vpcs[vpc]): [asdict(rule) for rule in found] for vpc, found in plan.network.name_rules.items()
    }
    return json.dumps(rules)


def _matches(rule: NameRule, name: str) -> bool:
    """As Route 53 does: an exact name, `*` for all, `*.example.com` for what lies below."""
    for domain in rule.domains:
        pattern = domain.lower().rstrip(".")
        if pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:])):
            return True
    return False


def _ask(message: bytes) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(_PATIENCE)
        line.sendto(message, (NAME_SERVER, _PORT))
        try:
            return line.recv(_MAX_MESSAGE)
        except TimeoutError:
            return None


class _Logged:
    """The internet's name server, which writes down what it is asked."""

    def __init__(self, server: NameServer, journal: Journal) -> None:
        self._server = server
        self._journal = journal

    def reply(self, message: bytes, client: str) -> bytes | None:
        question = question_of(message)
        self._journal.write(event="asked", name=question[0] if question else "", client=client)
        return self._server.reply(message)


def _serve(server: Resolver | _Logged, addresses: Iterable[str], journal: Journal) -> NoReturn:
    """Both transports on every address, a thread a connection; as short-lived as the lab."""
    listener = socket.create_server(("", _PORT))
    threading.Thread(target=_streams, args=(listener, server), daemon=True).start()
    datagrams = []
    for address in addresses:
        # One socket an address, so that an answer comes from where the question went to.
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        line.bind((address, _PORT))
        datagrams.append(line)
    threads = [threading.Thread(target=_datagrams, args=(line, server)) for line in datagrams]
    for thread in threads:
        thread.start()
    journal.write(event="ready")
    for thread in threads:
        thread.join()
    sys.exit(1)


def _datagrams(line: socket.socket, server: Resolver | _Logged) -> None:
    while True:
        message, (client, port) = line.recvfrom(_MAX_MESSAGE)
        reply = server.reply(message, client)
        if reply is not None:
            line.sendto(reply, (client, port))


def _streams(listener: socket.socket, server: Resolver | _Logged) -> None:
    while True:
        stream, (client, _) = listener.accept()
        threading.Thread(target=_stream, args=(stream, client, server), daemon=True).start()


def _stream(stream: socket.socket, client: str, server: Resolver | _Logged) -> None:
    """One message with its two bytes of length (RFC 1035, section 4.2.2)."""
    with stream, stream.makefile("rb") as file:
        stream.settimeout(_PATIENCE)
        try:
            message = file.read(int.from_bytes(file.read(2), "big"))
            reply = server.reply(message, client) or b""
            stream.sendall(len(reply).to_bytes(2, "big") + reply)
        except OSError:
            return  # The asker has gone, or asks nothing.


def main(arguments: list[str]) -> NoReturn:
    journal = Journal(Path(arguments[0]))
    addresses = arguments[1].split(",")
    if len(arguments) == 2:
        _serve(_Logged(Internet(), journal), addresses, journal)
    kind, file = arguments[2:]
    rules = json.loads(Path(file).read_text(encoding="utf-8"))
    if kind == "zone":
        zone = {name: Answer(tuple(found)) for name, found in rules.items()}
        _serve(_Logged(NameServer(zone), journal), addresses, journal)
    firewall = {
        IPv4Network(network): tuple(NameRule(**{**one, "domains": tuple(one["domains"])}) for one in found)
        for network, found in rules.items()
    }
    _serve(Resolver(firewall, journal), addresses, journal)


if __name__ == "__main__":
    main(sys.argv[1:])
