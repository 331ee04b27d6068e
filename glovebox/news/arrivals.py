"""What a run has brought: what is new in each account or repository, whose it is, what waits for a person."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from glovebox.findings.ledger import Hold
from glovebox.findings.life import Step
from glovebox.findings.model import Finding, Severity, State, account_of, name_of, repository_of
from glovebox.findings.store import FindingStore
from glovebox.registry.model import Account, Repository, Team
from glovebox.registry.owners import OwnerRule, Subject, owner_of
from glovebox.registry.scannable import Target
from glovebox.registry.store import RegistryStore
from glovebox.scans.repositories import target_of

MAX_SHOWN: Final = 30
"""Findings that a message names, the gravest; the command line has them all."""
_ARRIVED: Final = frozenset({State.NEW, State.REOPENED})


class Arrivals(Struct, frozen=True, kw_only=True):
    """What a run brought in one target, by severity."""

    target: str
    """As findings name it: `aws:111122223333`, `repo:github.com/acme/shop`, and `@v1.2` behind it."""
    name: str
    """For people."""
    team: str
    """Empty where nobody owns it."""
    new: Mapping[Severity, int]
    reopened: Mapping[Severity, int]


class Held(Struct, frozen=True, kw_only=True):
    """Findings of a target that wait for a person."""

    target: str
    count: int
    hold: Hold


class News(Struct, frozen=True, kw_only=True):
    arrivals: tuple[Arrivals, ...]
    """The gravest first."""
    gravest: tuple[Finding, ...]
    """At most `MAX_SHOWN` of all of them."""
    held: tuple[Held, ...]


class Owners:
    """Names and teams of targets, also of those that are not on record any more."""

    def __init__(
        self,
        targets: Iterable[Account | Repository],
        rules: Iterable[OwnerRule] = (),
        teams: Iterable[Team] = (),
    ) -> None:
        self._known = {each.target: each for each in targets}
        self._rules = tuple(rules)
        self._teams = {each.name for each in teams}

    @classmethod
    def on_record(cls, registry: RegistryStore, kind: type[Target]) -> Owners:
        """Of all targets of a kind."""
        return cls(
            (each.entry for each in registry.all(kind)),
            (each.entry for each in registry.all(OwnerRule)),
            (each.entry for each in registry.all(Team)),
        )

    def named(self, target: str) -> str:
        """As people know it: a repository by its id and ref, an account by its number and its name."""
        known = self._known.get(target)
        name = name_of(target)
        return f"{name} ({known.name})" if isinstance(known, Account) and known.name else name

    def team(self, target: str) -> str:
        """Of a repository that of its default branch, whatever the ref."""
        repository = repository_of(target)
        known = self._known.get(target_of(repository) if repository else target)
        if known is not None:
            subject = Subject.of(known)
        else:
            subject = Subject(repository=repository, account=account_of(target))
        return owner_of(subject, self._rules, self._teams).team


def gathered(store: FindingStore, steps: Mapping[str, Mapping[str, int]], owners: Owners, *, at: int) -> News:
    """News of the run that was asked for `at` (epoch seconds).

    `steps`: each target of the run and what its scans changed, by `Step`.  Ledgers are read where something
    arrived, and no finding but those that are shown.
    """
    arrivals: list[Arrivals] = []
    shown: list[tuple[Severity, str, bytes]] = []
    for target, counts in sorted(steps.items()):
        if not (counts.get(Step.NEW.value) or counts.get(Step.REOPENED.value)):
            continue
        entries = store.ledger(target).entries
        # What somebody has accepted since, or a later scan resolved, is no news any more.
        arrived = {key: e for key, e in entries.items() if e.state in _ARRIVED and e.since == at}
        if not arrived:
            continue
        counted = {
            state: Counter(each.severity for each in arrived.values() if each.state is state)
            for state in _ARRIVED
        }
        arrivals.append(
            Arrivals(
                target=target,
                name=owners.named(target),
                team=owners.team(target),
                new=counted[State.NEW],
                reopened=counted[State.REOPENED],
            )
        )
        here = ((each.severity, target, key) for key, each in arrived.items())
        shown = heapq.nsmallest(MAX_SHOWN, (*shown, *here), key=lambda one: (-one[0], one[1], one[2]))
    return News(
        arrivals=tuple(sorted(arrivals, key=_gravity)),
        gravest=tuple(_findings(store, shown)),
        held=tuple(_held(store, steps)),
    )


def _gravity(one: Arrivals) -> tuple[list[int], str]:
    counts = [one.new.get(each, 0) + one.reopened.get(each, 0) for each in sorted(Severity, reverse=True)]
    return [-count for count in counts], one.target


def _findings(store: FindingStore, shown: list[tuple[Severity, str, bytes]]) -> list[Finding]:
    """In the order of `shown`; a target is asked once."""
    wanted: dict[str, list[bytes]] = {}
    for _, target, key in shown:
        wanted.setdefault(target, []).append(key)
    found = {
        (target, each.id): each for target, keys in wanted.items() for each in store.findings(target, keys)
    }
    return [found[target, key.hex()] for _, target, key in shown if (target, key.hex()) in found]


def _held(store: FindingStore, steps: Mapping[str, object]) -> Iterable[Held]:
    """Also what waits since an earlier run: nothing else reminds of it."""
    for summary in store.targets():
        if summary.target in steps and summary.hold is not None and summary.tally.held:
            yield Held(target=summary.target, count=summary.tally.held, hold=summary.hold)
