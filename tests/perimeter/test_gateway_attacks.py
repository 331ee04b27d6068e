"""The attack table against the real daemon: nothing gets out, and each attempt is in the ledger."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.perimeter.attacks import Attack, all_attacks
from tests.perimeter.gateway import SCAN, Gateway

pytestmark = pytest.mark.squid

ATTACKS = all_attacks()
UNREADABLE = (0, 400, 431, 501, 505)
BEFORE_THE_TICKET = ("client", "manager", "plain", "ticket")


@pytest.fixture(scope="module")
def traps(gateway: Gateway) -> Iterator[list[socket.socket]]:
    """Listeners where an attacker would like to arrive; whoever reaches one has got out."""
    places = gateway.places
    wanted = [(places.evil, 443), (places.evil, 22), (places.private, 443)]
    wanted += [(places.origin, port) for port in (22, 25, 80, 8443)]
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(place)) for place in wanted]
        for listener in listeners:
            listener.setblocking(False)
        yield listeners


def visited(traps: list[socket.socket]) -> list[Any]:
    found = []
    for trap in traps:
        try:
            connection, _ = trap.accept()
        except BlockingIOError:
            continue
        found.append(trap.getsockname())
        connection.close()
    return found


def refused(line: dict[str, Any]) -> bool:
    """A request that was refused, or that never became one."""
    return bool(line["status"] >= 400 or line["status"] == 0)


def expected_scan(line: dict[str, Any]) -> str:
    """A refusal bears its scan, but for what is refused before the ticket is looked at or cannot be read."""
    unread = line["reason"] == "-" and line["status"] in UNREADABLE
    return str(line["scan"]) if unread or line["reason"] in BEFORE_THE_TICKET else SCAN


def test_the_table_is_as_large_as_it_is_said_to_be() -> None:
    assert len(ATTACKS) >= 200
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    assert {attack.line for attack in ATTACKS} >= {1, 2, 3, 4, 7, 8, 9, 10, 16}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.line}: {attack.name[:60]}")
def test_an_attack_is_refused_and_leaves_a_line(
    gateway: Gateway, traps: list[socket.socket], attack: Attack
) -> None:
    mark, arrived = len(gateway.ledger()), len(gateway.origin.seen)
    status = attack.send(gateway)
    assert status == 0 or 400 <= status < 600, status
    lines = gateway.lines_since(mark, refused)
    assert any(map(refused, lines)), lines
    last = [line for line in lines if refused(line)][-1]
    assert last["scan"] == (attack.scan or expected_scan(last)), last
    assert last["reason"] == (attack.reason or last["reason"]), last
    assert last["reason"] != "allowed", last
    assert gateway.origin.seen[arrived:] == []
    assert visited(traps) == []
    assert gateway.alive


def test_no_refused_name_is_ever_looked_up(gateway: Gateway) -> None:
    """Runs after the table: a lookup would carry data out to the attacker's name server."""
    allowed = set((gateway.folder / "allow-list.txt").read_text().split())
    assert set(gateway.names.asked) <= allowed
