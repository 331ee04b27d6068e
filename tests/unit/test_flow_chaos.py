"""Whatever is lost, repeated or cut off: each run ends, is published once, and names every host."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from dataclasses import dataclass

import pytest

from glovebox.scans.model import RunState
from glovebox.siteaudit.record import from_json
from glovebox.sites.publication import RUN_FILE
from tests import chaos
from tests.chaos import World
from tests.flow import Event

STORMS = 400
STEPS = 60
"""Enough for two attempts of a few scans, and for everything about them to go wrong."""
HOURS = 12
"""Two attempts that wait for room for two hours each, a lost ingest, a late publication: half is enough."""
ORDER: Event = {"list": {"key": "hosts.txt"}, "scheduledTime": "2026-03-04T05:06:00Z"}


@dataclass(frozen=True)
class Storm(chaos.Storm[World]):
    """Over a list of hosts."""

    hosts: tuple[str, ...]

    @property
    def missing(self) -> list[str]:
        return [host for scan in self.scans for host in scan.missing or ()]

    @property
    def rows(self) -> list[bytes]:
        """The lines of the run's published file; none where it has no file."""
        if not self.run.files:
            return []
        archive = self.world.flow.publication.objects[self.run.files[0]]
        with zipfile.ZipFile(io.BytesIO(archive)) as file:
            return file.read("output.jsonl").splitlines()


def _storm(seed: int) -> Storm:
    world = World(seed, enrichment=seed % 3 == 0)
    hosts = tuple(f"h{number}.example.com" for number in range(world.random.randrange(1, 8)))
    world.flow.lists.objects["hosts.txt"] = "\n".join((*hosts, "# a comment", "not a host")).encode()
    world.storm(ORDER, steps=STEPS, hours=HOURS)
    return Storm(seed, world, hosts)


@pytest.fixture(scope="module")
def storms() -> list[Storm]:
    return [_storm(seed) for seed in range(STORMS)]


def test_the_storms_are_storms(storms: list[Storm]) -> None:
    """Each misfortune came often, or the tests below would say nothing."""
    seen = sum((storm.world.seen for storm in storms), Counter[str]())
    for name in ("crash", "race", "hung", "watch event lost", "ingest event lost", "publish event lost"):
        assert seen[name] > 20, name
    assert {storm.run.state for storm in storms} == {RunState.COMPLETED, RunState.PARTIAL, RunState.FAILED}


def test_every_run_ends_and_is_published_once(storms: list[Storm]) -> None:
    for storm in storms:
        run = storm.run
        assert (run.pending, run.published_at is None) == (0, False), storm.seed
        assert run.state is not RunState.RUNNING, storm.seed
        assert all(scan.state.ended for scan in storm.scans), storm.seed
        assert storm.world.published == {run.run_id: 1}, storm.seed


def test_no_host_is_lost_or_audited_as_two(storms: list[Storm]) -> None:
    for storm in storms:
        assert tuple(host for scan in storm.scans for host in scan.hosts) == storm.hosts, storm.seed


def test_a_host_has_a_record_in_the_files_or_is_named_as_missing(storms: list[Storm]) -> None:
    for storm in storms:
        published = [from_json(row).fqdn for row in storm.rows]
        absent = set(storm.missing)
        assert published == [host for host in storm.hosts if host not in absent], storm.seed
        assert list(storm.run.missing) == storm.missing, storm.seed


def test_the_counts_are_those_of_the_files(storms: list[Storm]) -> None:
    for storm in storms:
        run = storm.run
        assert sum(run.counts.values()) == len(storm.rows), storm.seed
        assert (run.missing_count, run.hosts) == (len(storm.missing), len(storm.hosts)), storm.seed
        assert run.counts == ({"ok": len(storm.rows)} if storm.rows else {}), storm.seed


def test_people_hear_of_a_run_unless_its_event_was_given_up(storms: list[Storm]) -> None:
    for storm in storms:
        lost = any(storm.world.seen[f"notify event {end}"] for end in ("lost", "given up"))
        assert lost or storm.world.flow.topic.messages, storm.seed


def test_no_record_of_another_host_gets_in(storms: list[Storm]) -> None:
    for storm in storms:
        assert {host for host, _ in storm.world.flow.sites.items} <= set(storm.hosts), storm.seed


def test_the_summary_file_says_what_the_run_says(storms: list[Storm]) -> None:
    for storm in (storm for storm in storms if storm.run.files):
        [body] = (
            body for key, body in storm.world.flow.publication.objects.items() if key.endswith(f"/{RUN_FILE}")
        )
        told = json.loads(body)
        assert (told["records"], told["missing"]) == (len(storm.rows), storm.missing), storm.seed
