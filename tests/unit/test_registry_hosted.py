"""Repositories as their host has them against what is on record, and who owns them by CODEOWNERS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from glovebox.errors import ConflictError, RefusedError, UpstreamError
from glovebox.registry.codeowners import owners_of_all
from glovebox.registry.model import Disabled, Repository, Source
from glovebox.registry.store import Entry
from glovebox.services.repository_sync import RepositorySync
from glovebox.snapshots.errors import SnapshotError
from glovebox.snapshots.ports import HostRepository
from tests.registry import FakeTargets

SHOP = "github.com/acme/shop"


def hosted(number: int, name: str = "", **values: object) -> HostRepository:
    said: dict[str, object] = {"installation": 1, "default_branch": "main", **values}
    return HostRepository(id=f"github.com/acme/{name or number}", number=number, **said)  # type: ignore[arg-type]


@dataclass
class FakeHost:
    every: list[HostRepository]
    fails: bool = False

    def repositories(self) -> Iterator[HostRepository]:
        yield from self.every
        if self.fails:
            raise SnapshotError("rate_limited", "Later.")

    def open(self, repository: str, *, number: int = 0, installation: int = 0) -> object:
        raise AssertionError("nobody takes a snapshot here")


def synced(host: FakeHost, targets: FakeTargets, *, force: bool = False) -> object:
    return RepositorySync(host, targets).run(force=force)  # type: ignore[arg-type]  # `open` is not asked


@pytest.fixture
def targets() -> FakeTargets:
    return FakeTargets()


def entry(targets: FakeTargets, name: str) -> Repository:
    return targets.get(Repository, f"github.com/acme/{name}").entry


def put(targets: FakeTargets, repository: Repository) -> None:
    targets.put(repository, revision=0)


def test_a_new_repository_is_put_on_record(targets: FakeTargets) -> None:
    synced(FakeHost([hosted(1, "shop", topics=("team-a",), codeowners=("@acme/a",))]), targets)
    assert entry(targets, "shop") == Repository(
        id=SHOP,
        number=1,
        installation=1,
        default_branch="main",
        topics=("team-a",),
        codeowners=("@acme/a",),
        source=Source.HOST,
    )


def test_what_people_said_stays_and_what_the_host_says_follows(targets: FakeTargets) -> None:
    put(
        targets,
        Repository(id=SHOP, team="a", scanners=("trivy",), disabled=Disabled.BY_HAND, default_branch="x"),
    )
    synced(FakeHost([hosted(1, "shop", archived=True)]), targets)
    after = entry(targets, "shop")
    assert (after.team, after.scanners, after.disabled) == ("a", ("trivy",), Disabled.BY_HAND)
    assert (after.default_branch, after.archived, after.source) == ("main", True, Source.HOST)


def test_what_is_gone_is_disabled_and_what_is_back_is_scanned_again(targets: FakeTargets) -> None:
    host = FakeHost([hosted(1, "shop"), hosted(2, "other")])
    synced(host, targets)
    synced(FakeHost([hosted(2, "other")]), targets)
    assert entry(targets, "shop").disabled is Disabled.VANISHED
    synced(host, targets)
    assert entry(targets, "shop").disabled is None


def test_what_a_person_put_there_does_not_vanish(targets: FakeTargets) -> None:
    put(targets, Repository(id=SHOP))
    synced(FakeHost([]), targets)
    assert entry(targets, "shop").enabled


def test_a_repository_with_a_new_name_keeps_what_people_said_of_it(targets: FakeTargets) -> None:
    put(targets, Repository(id=SHOP, number=1, team="a", disabled=Disabled.BY_HAND, source=Source.HOST))
    synced(FakeHost([hosted(1, "store")]), targets)
    assert (entry(targets, "store").team, entry(targets, "store").disabled) == ("a", Disabled.BY_HAND)


def test_another_repository_under_an_old_name_inherits_nothing(targets: FakeTargets) -> None:
    former = Repository(id=SHOP, number=1, team="a", disabled=Disabled.BY_HAND, source=Source.HOST)
    put(targets, former)
    done = synced(FakeHost([hosted(1, "shop-old"), hosted(2, "shop")]), targets)
    assert entry(targets, "shop") == former
    assert (entry(targets, "shop-old").team, entry(targets, "shop-old").number) == ("a", 1)
    (left,) = done.left_out  # type: ignore[attr-defined]
    assert left.id == SHOP
    assert f"glovebox targets remove {SHOP}" in left.reason


def test_numbers_of_another_host_are_others(targets: FakeTargets) -> None:
    put(targets, Repository(id="git.example.com/acme/pay", number=1, team="a", source=Source.HOST))
    synced(FakeHost([hosted(1, "shop")]), targets)
    assert entry(targets, "shop").team == ""


def test_a_second_sync_writes_nothing(targets: FakeTargets) -> None:
    host = FakeHost([hosted(number) for number in range(1, 4)])
    synced(host, targets)
    writes = targets.writes
    synced(host, targets)
    assert targets.writes == writes


def test_more_than_half_at_once_is_refused_unless_forced(targets: FakeTargets) -> None:
    synced(FakeHost([hosted(number) for number in range(1, 41)]), targets)
    few = FakeHost([hosted(number) for number in range(1, 20)])
    with pytest.raises(RefusedError, match="21 of 40 repositories"):
        synced(few, targets)
    assert all(each.entry.enabled for each in targets.all(Repository))
    synced(few, targets, force=True)
    assert sum(each.entry.enabled for each in targets.all(Repository)) == 19


def test_half_an_answer_changes_nothing(targets: FakeTargets) -> None:
    with pytest.raises(UpstreamError, match="Later"):
        synced(FakeHost([hosted(1)], fails=True), targets)
    assert targets.entries == {}


def test_what_cannot_be_on_record_is_told_and_the_others_are_written(targets: FakeTargets) -> None:
    done = synced(FakeHost([hosted(1, "b a d"), hosted(2, "shop", default_branch="x\x1b")]), targets)
    assert {each.id for each in done.left_out} == {"github.com/acme/b a d", SHOP}  # type: ignore[attr-defined]
    synced(FakeHost([hosted(1, "b a d"), hosted(3, "fine")]), targets)
    assert entry(targets, "fine").enabled


def test_an_entry_that_somebody_changes_meanwhile_is_left_to_him() -> None:
    class Changing(FakeTargets):
        def put(self, entry: Entry, *, revision: int) -> None:
            raise ConflictError("Somebody else changed it.")

    done = synced(FakeHost([hosted(1, "shop")]), Changing())
    assert (done.added, [each.id for each in done.left_out]) == ([], [SHOP])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "owners"),
    [
        (b"* @acme/a", ("@acme/a",)),
        (b"* @acme/a\n* @acme/b me@example.com # why\n/docs @acme/c\n", ("@acme/b", "me@example.com")),
        (b"* @acme/a\n*\n", ()),
        (b"#* @acme/a\n", ()),
        (b"**/* @acme/a\n*.py @acme/b", ()),
        (b"* owner @" + b"x" * 200 + b" @ok \xff@", ("@ok", "\ufffd@")),
        (b"* @a\x1b[2J @b", ("@b",)),
        (b"\xff\xfe\x00 * \n\n   \n", ()),
        (b"* " + b"@a " * 1_000, ("@a",) * 20),
        (b"", ()),
    ],
)
def test_who_owns_everything_is_in_the_last_line_that_says_so(text: bytes, owners: tuple[str, ...]) -> None:
    assert owners_of_all(text) == owners
