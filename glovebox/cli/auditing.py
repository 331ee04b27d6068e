"""An audit as the command line runs it: each record journalled, counted and shown, Shodan beside it."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import IO, Protocol, cast

from msgspec.structs import replace
from rich.console import Console

from glovebox.cli.journal import Journal, with_shodan
from glovebox.cli.lookups import Lookups
from glovebox.cli.show import Progressing, progress
from glovebox.cli.tally import Tally
from glovebox.siteaudit.record import Shodan, SiteRecord, to_json
from glovebox.siteaudit.settings import AuditSettings
from glovebox.sites.shodan import ShodanCache, ShodanPort
from glovebox.sites.summary import RunSummary, outcome_of, summarise

_PENDING = Shodan(status="pending", reason="The look-up was not finished.")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Engine(Protocol):
    """`glovebox.siteaudit.direct.audit_directly`, or a fake of it."""

    def __call__(
        self, hosts: Sequence[str], *, scan_date: str, settings: AuditSettings
    ) -> AsyncIterator[SiteRecord]: ...


class Audit:
    """One audit over a journal: `run` it once, then read the results."""

    def __init__(
        self,
        journal: Journal,
        settings: AuditSettings,
        engine: Engine,
        console: Console,
        shodan: tuple[ShodanPort, ShodanCache] | None = None,
        stream: IO[bytes] | None = None,
    ) -> None:
        """`stream` gets each record of this run as a line, once all is known of it."""
        self.tally = Tally()
        self.interrupted = False
        self._journal = journal
        self._settings = settings
        self._engine = engine
        self._console = console
        self._shodan = shodan
        self._stream = stream
        self._lookups: Lookups | None = None
        self._outcomes: dict[str, str] = {}
        self._waiting: defaultdict[str, list[str]] = defaultdict(list)
        """Sites whose line is held back until Shodan has answered, by address."""

    @property
    def hosts(self) -> Sequence[str]:
        return self._journal.state.hosts

    @property
    def answers(self) -> Mapping[str, Shodan]:
        """Shodan's, by address."""
        return self._lookups.answers if self._lookups else {}

    def summary(self) -> RunSummary:
        state = self._journal.state
        return summarise(state.run_id, state.scan_date, state.hosts, self._outcomes, state.rejected)

    async def run(self) -> None:
        """Audit what has no record so far, until all have one or a signal ends it (`interrupted`)."""
        already = len(self._journal.done)
        live = (
            self._console.is_terminal
            and not self._console.is_dumb_terminal
            and not (self._stream and self._stream.isatty())
        )
        with progress(self._console, len(self.hosts), already, live=live) as shown:
            if self._shodan:
                self._lookups = Lookups(*self._shodan, lambda address, _: self._answered(address, shown))
            for record in self._journal.records():
                self._count(record)
                self._submit(record)
            try:
                with _cancelled_by_signals():
                    await self._audit(shown)
                    if self._lookups:
                        await self._lookups.finish()
            except asyncio.CancelledError:
                self.interrupted = True
            finally:
                if self._lookups:
                    await self._lookups.stop()

    async def _audit(self, shown: Progressing) -> None:
        done = self._journal.done
        open_hosts = [host for host in self.hosts if host not in done]
        if not open_hosts:
            return
        records = self._engine(open_hosts, scan_date=self._journal.state.scan_date, settings=self._settings)
        # An asynchronous generator that is left early has to be closed, or its sockets stay open.
        async with aclosing(cast("AsyncGenerator[SiteRecord, None]", records)):
            async for record in records:
                self._keep(record)
                shown.audited(self.tally)

    def _keep(self, record: SiteRecord) -> None:
        if self._lookups and record.ip:
            record = replace(record, shodan=_PENDING)
        self._journal.append(record)
        self._count(record)
        if self._lookups and record.ip and record.ip not in self.answers:
            self._waiting[record.ip].append(record.fqdn)
        else:
            self._emit(record)
        self._submit(record)

    def _count(self, record: SiteRecord) -> None:
        self.tally.add(record)
        self._outcomes[record.fqdn] = outcome_of(record)

    def _submit(self, record: SiteRecord) -> None:
        wanted = record.shodan is None or record.shodan.status in {"pending", "failed"}
        if self._lookups and record.ip and wanted:
            self._lookups.submit(record.ip)

    def _answered(self, address: str, shown: Progressing) -> None:
        if self._lookups:
            shown.looked_up(len(self.answers), len(self._lookups.submitted))
        for fqdn in self._waiting.pop(address, ()):
            self._emit(self._journal.record(fqdn))

    def _emit(self, record: SiteRecord) -> None:
        if self._stream:
            self._stream.write(to_json(with_shodan(record, self.answers)) + b"\n")
            self._stream.flush()


@contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM cancel the current task once; a second Ctrl-C is a KeyboardInterrupt again."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def release() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    def cancel() -> None:
        release()
        if task:
            task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, cancel)
    try:
        yield
    finally:
        release()
