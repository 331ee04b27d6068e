"""DNS for `launch`: the auditor's own resolver, many names at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from glovebox.errors import UpstreamError
from glovebox.siteaudit.resolution import Resolution
from glovebox.siteaudit.settings import AuditSettings

MAX_QUESTIONS = 100
"""Names at once, two packets each.  500 names that are never answered so take half a minute, and a shard
stays below the 1,024 packets a second that Amazon's resolver takes from one network interface."""


class DnsNames:
    """`glovebox.scans.ports.Names`: one event loop and one resolver a call."""

    def __init__(self, settings: AuditSettings) -> None:
        self._settings = settings

    def resolve(self, hosts: Sequence[str]) -> Mapping[str, Resolution]:
        return asyncio.run(self._resolve(hosts))

    async def _resolve(self, hosts: Sequence[str]) -> Mapping[str, Resolution]:
        # Here and not above: who launches scans of accounts asks nobody, and starts a tenth sooner without.
        from aiodns.error import DNSError

        from glovebox.siteaudit.dns import Resolver

        places = asyncio.Semaphore(MAX_QUESTIONS)
        async with Resolver(self._settings) as resolver:

            async def ask(host: str) -> Resolution:
                async with places:
                    return await resolver.resolve(host)

            try:
                answers = await asyncio.gather(*map(ask, hosts))
            except DNSError as error:
                raise UpstreamError(
                    f"The resolver failed: {error.args[1]}.", fix="See the resolver."
                ) from error
        return dict(zip(hosts, answers, strict=True))
