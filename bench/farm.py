"""`python -m bench.farm FOLDER COUNT [python]`: ordinary sites by nginx, or by Python where it is missing.

Started by `bench.__main__` as a process of its own; it ends when its standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from bench import nginx
from bench.sites import MIX, BenchFarm, Kind, Site, certificate, sites
from glovebox.errors import ConfigurationError
from glovebox.farm.authority import pem_of
from glovebox.farm.dns import Answer, serving_names
from glovebox.farm.fleet import NETWORK, serving
from glovebox.farm.identities import PKI_HOST, Identities
from glovebox.farm.model import DOMAIN, Expected, Tls, Trait
from glovebox.farm.pages import front
from glovebox.farm.serve import end_of_input
from glovebox.farm.traits.common import to_https
from glovebox.farm.web import site
from glovebox.local import processes
from glovebox.siteaudit.settings import AuditSettings

_RESOLVER: Final = "127.77.0.53"
_START_SECONDS: Final = 30.0


async def serve(folder: Path, count: int, server: str = "nginx") -> None:
    """Serve `count` sites, announce them, and wait for the end of standard input."""
    program = nginx.program() if server == "nginx" else None
    servers = _by_nginx(program, folder, count) if program else _by_python(folder, count)
    async with servers as farm:
        sys.stdout.buffer.write(msgspec.json.encode(farm) + b"\n")
        sys.stdout.buffer.flush()
        await end_of_input()


@asynccontextmanager
async def _by_nginx(program: str, folder: Path, count: int) -> AsyncIterator[BenchFarm]:
    chosen = sites(count)
    ports = _free_port(), _free_port()
    identities = Identities(ports[0])
    configuration = nginx.configure(folder, chosen, ports, identities)
    zone = {each.host: Answer((each.address,)) for each in chosen}
    zone[PKI_HOST] = Answer((nginx.PKI_ADDRESS,))
    async with serving_names(zone, _RESOLVER) as resolver:
        with (folder / "nginx.log").open("wb") as log:
            command = [program, "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
            process = processes.start(command, environment=os.environ, folder=folder, output=log)
        try:
            await _listening(chosen[-1].address, ports[1], folder / "nginx.log")
            yield BenchFarm(
                server=nginx.version(program),
                sites=chosen,
                settings=AuditSettings(
                    http_port=ports[0],
                    https_port=ports[1],
                    resolver=resolver,
                    allowed_networks=[NETWORK],
                    extra_roots=pem_of([identities.root.certificate]).decode(),
                ),
                status_socket=str(folder / "status.sock"),
            )
        finally:
            processes.end(process)


@asynccontextmanager
async def _by_python(folder: Path, count: int) -> AsyncIterator[BenchFarm]:
    chosen = sites(count, per_address=1)
    async with serving([_trait(each, MIX[each.kind]) for each in chosen], folder) as fleet:
        yield BenchFarm(
            server=f"Python {sys.version.split()[0]}",
            sites=chosen,
            settings=fleet.settings,
            status_socket=None,
        )


def _trait(each: Site, kind: Kind) -> Trait:
    name = each.host.removesuffix(f".{DOMAIN}")
    page = front("An ordinary site of the bench")
    tls = Tls(
        site(page),
        lambda identities, host: certificate(kind, [host], identities),
        versions=kind.versions,
        ciphers=kind.ciphers,
    )
    return Trait(name=name, shows=kind.name, http=to_https(name), https=tls, expects=Expected())


def _free_port() -> int:
    with socket.socket() as trying:
        trying.bind((_RESOLVER, 0))
        return int(trying.getsockname()[1])


async def _listening(address: str, port: int, log: Path) -> None:
    """Wait for nginx; raises ConfigurationError with its log where it does not come up."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_connection(address, port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return
    except TimeoutError as error:
        raise ConfigurationError(f"nginx did not start: {_end_of(log)}") from error


def _end_of(log: Path) -> str:
    return log.read_text()[-2_000:]


if __name__ == "__main__":
    _, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _most))
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
