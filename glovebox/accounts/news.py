"""What a run over accounts has brought: what is new in each account, whose it is, what waits for a person."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from glovebox.findings.ledger import Hold
from glovebox.findings.life import Step
from glovebox.findings.model import Finding, Severity, State
from glovebox.findings.store import FindingStore
from glovebox.registry.model import Account
from glovebox.registry.owners import OwnerRule, Subject, owner_of

MAX_SHOWN: Final = 30
"""Findings that a message names, the gravest; the command line has them all."""
_ARRIVED: Final = frozenset({State.NEW, State.REOPENED})


class Arrivals(Struct, frozen=True, kw_only=True):
    """What a run brought in one account, by severity."""

    account: str
    name: str
    team: str
    """Empty where nobody owns it."""
    new: Mapping[Severity, int]
    reopened: Mapping[Severity, int]


class Held(Struct, frozen=True, kw_only=True):
    """Findings of an account that wait for a person."""

    account: str
    count: int
    hold: Hold


class News(Struct, frozen=True, kw_only=True):
    arrivals: tuple[Arrivals, ...]
    """The gravest first."""
    gravest: tuple[Finding, ...]
    """At most `MAX_SHOWN` of all of them."""
    held: tuple[Held, ...]


class Owners:
    """Names and teams of accounts, also of those that are not on record any more."""

    def __init__(self, accounts: Iterable[Account], rules: Iterable[OwnerRule]) -> None:
        self._accounts = {each.id: each for each in accounts}
        self._rules = tuple(rules)

    def name(self, account: str) -> str:
        known = self._accounts.get(account)
        return known.name if known else ""

    def team(self, account: str) -> str:
        known = self._accounts.get(account)
        subject = Subject.of(known) if known else Subject(account=account)
        return owner_of(subject, self._rules).team


def gathered(store: FindingStore, steps: Mapping[str, Mapping[str, int]], owners: Owners, *, at: int) -> News:
    """News of the run that was asked for `at` (epoch seconds).

    `steps`: each account of the run and what its scans changed, by `Step`.  Ledgers are read where something
    arrived, and no finding but those that are shown.
    """
    arrivals: list[Arrivals] = []
    shown: list[tuple[Severity, str, bytes]] = []
    for account, counts in sorted(steps.items()):
        if not (counts.get(Step.NEW.value) or counts.get(Step.REOPENED.value)):
            continue
        entries = store.ledger(f"aws:{account}").entries
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
                account=account,
                name=owners.name(account),
                team=owners.team(account),
                new=counted[State.NEW],
                reopened=counted[State.REOPENED],
            )
        )
        here = ((each.severity, account, key) for key, each in arrived.items())
        shown = heapq.nsmallest(MAX_SHOWN, (*shown, *here), key=lambda one: (-one[0], one[1], one[2]))
    return News(
        arrivals=tuple(sorted(arrivals, key=_gravity)),
        gravest=tuple(_findings(store, shown)),
        held=tuple(_held(store, steps)),
    )


def _gravity(one: Arrivals) -> tuple[list[int], str]:
    counts = [one.new.get(each, 0) + one.reopened.get(each, 0) for each in sorted(Severity, reverse=True)]
    return [-count for count in counts], one.account


def _findings(store: FindingStore, shown: list[tuple[Severity, str, bytes]]) -> list[Finding]:
    """In the order of `shown`; a target is asked once."""
    wanted: dict[str, list[bytes]] = {}
    for _, account, key in shown:
        wanted.setdefault(account, []).append(key)
    found = {
        (account, each.id): each
        for account, keys in wanted.items()
        for each in store.findings(f"aws:{account}", keys)
    }
    return [found[account, key.hex()] for _, account, key in shown if (account, key.hex()) in found]


def _held(store: FindingStore, steps: Mapping[str, object]) -> Iterable[Held]:
    """Also what waits since an earlier run: nothing else reminds of it."""
    for summary in store.targets():
        account = summary.target.removeprefix("aws:")
        if account in steps and summary.hold is not None and summary.tally.held:
            yield Held(account=account, count=summary.tally.held, hold=summary.hold)
