"""The name server, asked by c-ares as the auditor asks it, and with bytes that are no question."""

from __future__ import annotations

import socket
import struct

import aiodns
import pytest
from pycares import AAAARecordData, ARecordData, CNAMERecordData

from glovebox.errors import ConfigurationError
from glovebox.farm.dns import Answer, NameServer, Rcode, serving_names

ZONE = {
    "good.fleet.test": Answer(addresses=("127.0.1.1", "::1")),
    "alias.fleet.test": Answer(alias="Good.Fleet.Test"),
    "loop.fleet.test": Answer(alias="pool.fleet.test"),
    "pool.fleet.test": Answer(alias="loop.fleet.test"),
    "empty.fleet.test": Answer(),
    "broken.fleet.test": Answer(rcode=Rcode.SERVFAIL),
    "refused.fleet.test": Answer(rcode=Rcode.REFUSED),
    "silent.fleet.test": Answer(silent=True),
    "many.fleet.test": Answer(addresses=tuple(f"127.0.2.{number}" for number in range(1, 60))),
}


async def ask(name: str, kind: str = "A") -> list[str]:
    async with serving_names(ZONE) as address:
        host, _, port = address.rpartition(":")
        async with aiodns.DNSResolver(
            nameservers=[host], udp_port=int(port), tcp_port=int(port), timeout=0.3, tries=1
        ) as resolver:
            answer = await resolver.query_dns(name, kind)
    data = [record.data for record in answer.answer]
    assert all(isinstance(each, ARecordData | AAAARecordData | CNAMERecordData) for each in data)
    return [each.cname if isinstance(each, CNAMERecordData) else getattr(each, "addr", "") for each in data]


async def test_addresses_of_both_families() -> None:
    assert await ask("GOOD.fleet.test") == ["127.0.1.1"]
    assert await ask("good.fleet.test", "AAAA") == ["::1"]


async def test_an_alias_is_followed_within_the_zone() -> None:
    assert await ask("alias.fleet.test") == ["Good.Fleet.Test", "127.0.1.1"]


async def test_a_loop_of_aliases_ends_without_an_address() -> None:
    assert set(await ask("loop.fleet.test")) == {"pool.fleet.test", "loop.fleet.test"}


async def test_an_answer_too_long_for_udp_comes_over_tcp() -> None:
    assert len(await ask("many.fleet.test")) == 59


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nobody.fleet.test", 4),  # ARES_ENOTFOUND
        ("empty.fleet.test", 1),  # ARES_ENODATA
        ("broken.fleet.test", 3),  # ARES_ESERVFAIL
        ("refused.fleet.test", 6),  # ARES_EREFUSED
        ("silent.fleet.test", 12),  # ARES_ETIMEOUT
    ],
)
async def test_each_failure_reaches_the_asker_as_its_own(name: str, code: int) -> None:
    with pytest.raises(aiodns.error.DNSError) as caught:
        await ask(name)
    assert caught.value.args[0] == code


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0" * 11,
        struct.pack(">6H", 1, 0x8000, 1, 0, 0, 0) + b"\1a\0\0\1\0\1",  # an answer
        struct.pack(">6H", 1, 0, 2, 0, 0, 0) + b"\1a\0\0\1\0\1",  # two questions
        struct.pack(">6H", 1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",  # a pointer
        struct.pack(">6H", 1, 0, 1, 0, 0, 0) + b"\x3fabc",  # a label past the end
    ],
)
def test_what_is_no_question_gets_no_answer(message: bytes) -> None:
    assert NameServer(ZONE).reply(message) is None


async def test_it_never_serves_outside_loopback() -> None:
    with pytest.raises(ConfigurationError):
        async with serving_names(ZONE, "0.0.0.0"):  # noqa: S104  what must not work
            pytest.fail("served")


async def test_udp_and_tcp_share_the_port_and_close_with_the_block() -> None:
    async with serving_names(ZONE) as address:
        port = int(address.rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port), 1).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)
