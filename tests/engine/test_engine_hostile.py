"""The whole engine among malicious sites: a record for each, nothing left behind, nothing believed."""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from glovebox.farm.running import Announcement, announced
from glovebox.siteaudit.direct import audit_directly
from glovebox.siteaudit.record import SiteRecord, from_json, to_json
from glovebox.siteaudit.settings import AuditSettings
from tests.engine.hostile_answers import MISBEHAVIOURS
from tests.engine.hostile_handshakes import FLOODS
from tests.engine.hostile_sites import ENDLESS, ENDLESS_SECONDS, MAZE

pytestmark = pytest.mark.engine

_DATE = "2026-01-02T03:04:05Z"
_HANGS = 120.0
"""Seconds: twenty times what the run takes."""


@dataclass
class Run:
    """One audit of all, and what it left behind."""

    said: Announcement
    records: Mapping[str, SiteRecord]
    count: int
    problems: list[dict[str, Any]]
    """What the event loop's exception handler was told."""
    tasks: set[asyncio.Task[Any]]
    files: int
    """Open files and sockets more than before."""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Announcement]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with announced("tests.engine.hostile_sites", folder) as line:
        yield msgspec.json.decode(line, type=Announcement)


@pytest.fixture(
    scope="module", params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def run(request: pytest.FixtureRequest, said: Announcement) -> Run:
    factory: Callable[[], asyncio.AbstractEventLoop] = request.param
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_run(said))


async def _run(said: Announcement) -> Run:
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: None if _is_asyncios_own(context) else problems.append(context)
    )
    await _audit(said.hosts[:1], said.settings)  # what a loop opens once for all is open now
    before = await _open_files()
    endless = msgspec.structs.replace(said.settings, site_timeout=ENDLESS_SECONDS)
    async with asyncio.timeout(_HANGS):
        others = [host for host in said.hosts if host not in ENDLESS]
        parts = await asyncio.gather(_audit(others, said.settings), _audit(ENDLESS, endless))
    records = [record for part in parts for record in part]
    tasks = asyncio.all_tasks() - {current} if (current := asyncio.current_task()) else set()
    by_name = {record.fqdn: record for record in records}
    return Run(said, by_name, len(records), problems, tasks, await _open_files() - before)


def _is_asyncios_own(context: dict[str, Any]) -> bool:
    """A handshake that fails in the turn in which our patience ends: asyncio forgets its exception."""
    unread = context["message"] == "Future exception was never retrieved"
    return unread and isinstance(context.get("exception"), ssl.SSLError)


async def _audit(hosts: Sequence[str], settings: AuditSettings) -> list[SiteRecord]:
    return [record async for record in audit_directly(hosts, scan_date=_DATE, settings=settings)]


async def _open_files() -> int:
    """Open files and sockets, once their number rests: what was aborted closes in the loop's next turns."""
    counts = [-1]
    while len(counts) < 5 or len(set(counts[-5:])) > 1:
        await asyncio.sleep(0.1)
        gc.collect()
        counts.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208 - one pass, which opens one file itself
    return counts[-1]


def test_each_host_has_exactly_one_record_that_reads_back(run: Run) -> None:
    assert run.count == len(run.said.hosts)
    assert set(run.records) == set(run.said.hosts)
    for record in run.records.values():
        assert from_json(to_json(record)) == record


def test_nothing_is_a_defect_of_ours(run: Run) -> None:
    ours = [
        (record.fqdn, failure.failure_class, failure.detail)
        for record in run.records.values()
        for failure in record.failures
        if failure.fault == "ours"
    ]
    assert ours == []
    assert run.problems == []


def test_no_task_and_no_connection_is_left(run: Run) -> None:
    assert run.tasks == set()
    # The process is also that of other tests, and what is theirs may close meanwhile.
    assert run.files <= 0


def test_no_record_holds_what_acts_on_its_reader(run: Run) -> None:
    """Controls and marks of text direction; a newline stands between two cookies."""
    for record in run.records.values():
        for text in _texts(msgspec.to_builtins(record)):
            hidden = [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"]
            assert hidden == [], f"{record.fqdn}: {text[:200]!r}"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


WANTED: Mapping[str, set[str | None]] = {
    "plain-good": {None},
    "visit-resets": {"connection_reset"},
    "visit-closes": {"http_connection_closed"},
    "visit-mute": {"http_timeout"},
    "visit-noise": {"http_protocol_error"},
    "visit-nul-header": {"http_protocol_error"},
    "visit-nul-value": {"http_protocol_error"},
    "visit-cookies": {None},
    "visit-many-headers": {None},
    "visit-endless-body": {None},
    "visit-bomb": {"response_too_large"},
    **{
        f"visit-endless-{what}": {"response_too_large"}
        for what in ("headers", "header", "interim", "chunks", "size", "trailers")
    },
    "visit-inner-location": {"redirect_off_list"},
    "visit-bad-location": {"bad_redirect"},
    "visit-long-location": {"bad_redirect"},
    **{f"flood-{name}": {"tls_response_too_large"} for name in FLOODS if name != "ssl2"},
    "flood-ssl2": {"tls_protocol_error"},
    "cert-giant-extension": {None},
    "cert-too-giant-extension": {"tls_response_too_large"},
    "cert-many-names": {None},
    "cert-evil-subject": {None},
    "cert-addresses": {None},
    "cert-long-chain": {None},
    "drips": {"site_timeout"},
    "flips-inside": {"name_mismatch"},
    "flips-away": {"name_mismatch", "connection_refused", "no_address"},
}
"""Failure classes that fit; hosts damaged at random may get any."""


@pytest.mark.parametrize("name", WANTED)
def test_malice_has_its_failure_class(name: str, run: Run) -> None:
    assert run.records[f"{name}.fleet.test"].failure_class in WANTED[name]


def test_every_misbehaviour_is_either_expected_or_harmless(run: Run) -> None:
    harmless = {"two-lengths", "length-and-chunks", "negative", "huge-length", "status-0", "status-999"}
    harmless |= {"switching", "control-title", "odd-charset", "policies"}
    assert {f"visit-{name}" for name in MISBEHAVIOURS} == {
        *(name for name in WANTED if name.startswith("visit-")),
        *(f"visit-{name}" for name in harmless),
    }


def test_a_maze_of_listed_names_ends_at_the_limit_for_both_schemes(run: Run) -> None:
    for number in range(MAZE):
        record = run.records[f"maze-{number}.fleet.test"]
        assert record.failure_class == "too_many_redirects"
        assert len(record.https_chain) == len(record.http_chain) == run.said.settings.max_redirects + 1


def test_addresses_in_certificates_and_names_lead_nowhere_inside(run: Run) -> None:
    certificate = run.records["cert-addresses.fleet.test"].certificate
    assert certificate is not None
    assert any("169.254.169.254 is no address of the public internet" in w for w in certificate.warnings)
    flips = run.records["flips-inside.fleet.test"].dns
    assert flips is not None
    assert set(flips.addresses) <= {"127.77.1.1"}
