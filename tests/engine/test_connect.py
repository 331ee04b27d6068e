"""The caps on connections: never more at once than allowed, and every place is given back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from glovebox.siteaudit.connect import ConnectError, DirectConnector, Endpoint
from glovebox.siteaudit.settings import AuditSettings

pytestmark = pytest.mark.engine

SETTINGS = AuditSettings(per_host=2, per_address=3)


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """Takes connections and says nothing; gives its port."""

    ended: list[asyncio.Future[None]] = []

    class Silent(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.end = asyncio.get_running_loop().create_future()
            ended.append(self.end)

        def connection_lost(self, exc: Exception | None) -> None:
            self.end.set_result(None)

    server = await asyncio.get_running_loop().create_server(Silent, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        async with asyncio.timeout(5):
            await asyncio.gather(*ended)


async def test_no_more_connections_at_once_than_a_name_and_an_address_allow() -> None:
    connector = DirectConnector(SETTINGS)
    now: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def visit(host: str, port: int) -> None:
        async with connector.connection(asyncio.Protocol, Endpoint(host, "127.0.0.1", port)):
            now.update([host, "all"])
            most[host], most["all"] = max(most[host], now[host]), max(most["all"], now["all"])
            await asyncio.sleep(0.01)
            now.subtract([host, "all"])

    async with silent_server() as port:
        await asyncio.gather(*[visit(host, port) for host in ("one", "two") * 6])
    assert most == {"one": 2, "two": 2, "all": 3}
    assert (connector.count("one"), connector.count("two")) == (6, 6)


async def test_a_place_is_given_back_after_a_refusal_and_by_who_gives_up_waiting() -> None:
    connector = DirectConnector(SETTINGS)
    async with silent_server() as port:
        refusing = Endpoint("one", "127.0.0.2", port)  # nobody listens at this address
        for _ in range(SETTINGS.per_host + 1):
            with pytest.raises(ConnectError, match="connection_refused"):
                async with connector.connection(asyncio.Protocol, refusing):
                    pass
        here = Endpoint("one", "127.0.0.1", port)
        async with (
            connector.connection(asyncio.Protocol, here),
            connector.connection(asyncio.Protocol, here),
        ):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), connector.connection(asyncio.Protocol, here):
                    pass
        async with (
            asyncio.timeout(5),
            connector.connection(asyncio.Protocol, here),
            connector.connection(asyncio.Protocol, here),
        ):
            pass


async def test_names_and_addresses_are_forgotten_when_their_last_connection_ends() -> None:
    connector = DirectConnector(SETTINGS)
    async with (
        silent_server() as port,
        connector.connection(asyncio.Protocol, Endpoint("one", "127.0.0.1", port)),
    ):
        assert (len(connector.hosts), len(connector.addresses)) == (1, 1)
    assert (len(connector.hosts), len(connector.addresses)) == (0, 0)
