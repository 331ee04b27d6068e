"""Many names at once, against a real name server on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing

import aiodns
import pytest

from glovebox.adapters.names import MAX_QUESTIONS, DnsNames
from glovebox.errors import UpstreamError
from glovebox.farm.dns import Answer, serving_names_apart
from glovebox.siteaudit.dns import Resolver
from glovebox.siteaudit.record import Dns
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings

GOOD = Resolution(dns=Dns(addresses=["11.0.0.1"]))
ZONE = {
    "good.test": Answer(addresses=("11.0.0.1",)),
    "inside.test": Answer(addresses=("10.0.0.1",)),
    "silent.test": Answer(silent=True),
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving_names_apart(ZONE) as address:
        yield address


def test_each_name_has_its_answer_whatever_the_others_have(server: str) -> None:
    names = DnsNames(AuditSettings(resolver=server, dns_timeout=0.3))
    found = names.resolve(["good.test", "silent.test", "inside.test", "none.test"])
    classes = {host: each.failure and each.failure.failure_class for host, each in found.items()}
    assert classes == {
        "good.test": None,
        "silent.test": "dns_timeout",
        "inside.test": "private_address",
        "none.test": "nxdomain",
    }
    assert found["good.test"].dns.addresses == ["11.0.0.1"]


def test_a_second_call_has_a_loop_of_its_own(server: str) -> None:
    names = DnsNames(AuditSettings(resolver=server))
    assert names.resolve(["good.test"]) == names.resolve(["good.test"])


def test_names_are_asked_about_side_by_side_up_to_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, most = 0, 0
    answer = DnsNames(AuditSettings(resolver="127.0.0.1:1"))

    async def resolve(_self: Resolver, _fqdn: str) -> Resolution:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return GOOD

    monkeypatch.setattr(Resolver, "resolve", resolve)
    found = answer.resolve([f"{number}.test" for number in range(3 * MAX_QUESTIONS)])
    assert (len(found), most) == (3 * MAX_QUESTIONS, MAX_QUESTIONS)


def test_a_resolver_that_is_not_there_is_a_failure_of_each_name() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    found = DnsNames(AuditSettings(resolver=f"127.0.0.1:{port}")).resolve(["good.test"])
    assert found["good.test"].failure is not None
    assert found["good.test"].failure.failure_class == "resolver_unreachable"


def test_what_the_resolver_says_of_itself_is_no_fact_about_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(_self: Resolver, _fqdn: str) -> Resolution:
        raise aiodns.error.DNSError(aiodns.error.ARES_ENOMEM, "no memory")

    monkeypatch.setattr(Resolver, "resolve", resolve)
    with pytest.raises(UpstreamError, match="no memory"):
        DnsNames(AuditSettings()).resolve(["good.test"])
