"""Keeping the registry: each change is checked against what else is on record."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from glovebox.errors import ConflictError, InputError, NotFoundError
from glovebox.findings.model import Acceptance, repository_of
from glovebox.registry.importing import (
    ImportPlan,
    Member,
    from_file,
    from_organization,
    require_plausible,
)
from glovebox.registry.model import (
    DEFAULT_ACCEPTANCE_DAYS,
    Account,
    Repository,
    Team,
    refuse_scanning_account,
    require_account_id,
    require_repository_id,
    require_team_name,
)
from glovebox.registry.owners import By, OwnerRule, Ownership, Subject, owner_of
from glovebox.registry.scannable import (
    not_on_record,
    require_scannable,
    require_scannable_repository,
)
from glovebox.registry.spreadsheet import Read
from glovebox.registry.store import RegistryStore, Stored

DAY: Final = 86_400
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Registry:
    """Targets, teams and owner rules of one deployment; `scanning_account` is where it runs."""

    store: RegistryStore
    scanning_account: str

    # ------------------------------------------------------------ accounts

    def accounts(self) -> list[Account]:
        return [each.entry for each in self.store.all(Account)]

    def account(self, account_id: str) -> Account:
        """Raises NotFoundError, and InputError for what is no account id."""
        return self._stored(account_id).entry

    def scannable(self, account_id: str) -> Account:
        """The account, if it may be scanned now.

        Raises NotFoundError where it is not on record, RefusedError for the account that scans, and
        ConflictError where it is disabled.
        """
        account = self.account(account_id)
        return require_scannable(account_id, {account.id: account}, scanning_account=self.scanning_account)

    def require_scannable(self, account_ids: Iterable[str]) -> None:
        """As `scannable` of each, in one reading."""
        known = {each.id: each for each in self.accounts()}
        for account_id in account_ids:
            require_scannable(require_account_id(account_id), known, scanning_account=self.scanning_account)

    def add(self, account: Account) -> None:
        """Raises RefusedError for the account that scans, ConflictError for one that is on record."""
        self._check(account)
        self._put_new(account)

    # `Any`: the names and types of `Account`'s fields, which its own constructor checks.
    def change(self, account_id: str, **values: Any) -> Account:
        """Replace these fields; answers the account as it is now.  Raises as `add`, and NotFoundError."""
        before = self._stored(account_id)
        after = replace(before.entry, **values)
        self._check(after)
        self.store.put(after, revision=before.revision)
        return after

    def remove(self, account_id: str) -> None:
        """Take it off record; its findings stay.  Raises NotFoundError."""
        before = self._stored(account_id)
        self.store.remove(before.entry, revision=before.revision)

    def plan_organization(self, members: Iterable[Member]) -> ImportPlan:
        return from_organization(members, self.store.all(Account), scanning_account=self.scanning_account)

    def plan_file(self, read: Iterable[Read]) -> ImportPlan:
        return from_file(read, self.store.all(Account))

    def carry_out(self, plan: ImportPlan, *, force: bool = False) -> None:
        """Write what the plan says.

        Each account is written by itself, so an import that is cut off can simply be made again.  Raises
        RefusedError (see `require_plausible`), ConflictError where somebody changed an account meanwhile.
        """
        known = self.store.all(Account)
        if not force:
            require_plausible(plan, known)
        teams = {each.entry.name for each in self.store.all(Team)}
        for account in plan.writes:
            self._check(account, teams)
        revisions = {each.entry.id: each for each in known}
        for before, after in _with_before(plan):
            stored = revisions.get(after.id)
            if (stored.entry if stored else None) != before:
                raise ConflictError(f"Somebody changed {after.id} meanwhile.", fix="Import again.")
            self.store.put(after, revision=stored.revision if stored else 0)

    # ------------------------------------------------------------ repositories

    def repositories(self) -> list[Repository]:
        return [each.entry for each in self.store.all(Repository)]

    def repository(self, repository_id: str) -> Repository:
        """Raises NotFoundError, and InputError for what is no repository's id."""
        return self._stored_repository(repository_id).entry

    def require_scannable_repositories(self, repository_ids: Iterable[str]) -> None:
        """Raises NotFoundError for one that is not on record, ConflictError for one that is disabled."""
        known = {each.id: each for each in self.repositories()}
        for repository_id in repository_ids:
            require_scannable_repository(require_repository_id(repository_id), known)

    def add_repository(self, repository: Repository) -> None:
        """Raises NotFoundError for a team that is not on record, ConflictError for one that is."""
        self._check_team(repository.team)
        self._put_new(repository)

    def change_repository(self, repository_id: str, **values: Any) -> Repository:  # as `change`
        """As `change`."""
        before = self._stored_repository(repository_id)
        after = replace(before.entry, **values)
        self._check_team(after.team)
        self.store.put(after, revision=before.revision)
        return after

    def remove_repository(self, repository_id: str) -> None:
        """As `remove`; what an installation still names comes back with its next sync."""
        before = self._stored_repository(repository_id)
        self.store.remove(before.entry, revision=before.revision)

    # ------------------------------------------------------------ teams

    def teams(self) -> list[Team]:
        return [each.entry for each in self.store.all(Team)]

    def team(self, name: str) -> Team:
        """Raises NotFoundError."""
        return self._stored_team(name).entry

    def add_team(self, team: Team) -> None:
        """Raises ConflictError for one that is on record."""
        try:
            self.store.put(team, revision=0)
        except ConflictError as error:
            raise ConflictError(
                f"The team {team.name} is on record already.",
                fix=f"To change it: glovebox teams set {team.name} …",
            ) from error

    def change_team(self, name: str, **values: Any) -> Team:  # as `change`
        """Raises NotFoundError."""
        before = self._stored_team(name)
        after = replace(before.entry, **values)
        self.store.put(after, revision=before.revision)
        return after

    def remove_team(self, name: str) -> None:
        """Raises NotFoundError, and ConflictError where something still belongs to it by name."""
        before = self._stored_team(name)
        users = [f"account {each.id}" for each in self.accounts() if each.team == name]
        rules = self.rules()
        # What CODEOWNERS or a topic says does not count: whoever may push would keep a team on record by it.
        users += [f"repository {each.id}" for each in self.repositories() if each.team == name]
        users += [f"rule {each.name}" for each in rules if each.team == name]
        if users:
            more = f" and {len(users) - _NAMED:,} more" if len(users) > _NAMED else ""
            raise ConflictError(
                f"The team {name} still owns: {', '.join(users[:_NAMED])}{more}.",
                fix="Give these to another team first.",
            )
        self.store.remove(before.entry, revision=before.revision)

    # ------------------------------------------------------------ owners

    def rules(self) -> list[OwnerRule]:
        return [each.entry for each in self.store.all(OwnerRule)]

    def add_rule(self, rule: OwnerRule) -> None:
        """Raises NotFoundError for a team that is not on record, ConflictError for a second one of a name."""
        self.team(rule.team)
        try:
            self.store.put(rule, revision=0)
        except ConflictError as error:
            raise ConflictError(
                f"There is a rule for {rule.name} already.",
                fix=f"First: glovebox owners remove --{rule.by.value} '{rule.value}'",
            ) from error

    def remove_rule(self, by: By, value: str) -> None:
        """Raises NotFoundError."""
        stored = self.store.get(OwnerRule, f"{by.value}:{value}")
        self.store.remove(stored.entry, revision=stored.revision)

    def owner(self, subject: Subject) -> Ownership:
        teams = {each.name for each in self.teams()} if subject.repository else ()
        return owner_of(subject, self.rules(), teams)

    def owner_of_target(self, target: str) -> Ownership:
        """Of an account's id, or of a target as findings name it.  Raises NotFoundError."""
        repository = repository_of(target)
        if repository:
            return self.owner(Subject.of(self.repository(repository)))
        return self.owner(Subject.of(self.account(target.removeprefix("aws:"))))

    # ------------------------------------------------------------ acceptances

    def require_acceptable(self, target: str, acceptance: Acceptance, *, now: int) -> None:
        """Raises InputError where the acceptance is longer than the target's owner lets it be.

        `target` as in `owner_of_target`.  One that nobody owns, or that is not on record any more, has the
        default.
        """
        days, whose = DEFAULT_ACCEPTANCE_DAYS, "without an owner of their own"
        try:
            owner = self.owner_of_target(target).team
            if owner:
                days, whose = self.team(owner).acceptance_days, f"of the team {owner}"
        except NotFoundError:
            pass
        if acceptance.until > now + days * DAY:
            last = time.strftime("%Y-%m-%d", time.gmtime(now + days * DAY))
            raise InputError(
                f"Findings {whose} are accepted for {days} days at most.",
                fix=f"Name a day up to {last}; the maximum is the team's (glovebox teams set).",
            )

    # ------------------------------------------------------------ inside

    def _check(self, account: Account, teams: Iterable[str] | None = None) -> None:
        refuse_scanning_account(account.id, self.scanning_account)
        self._check_team(account.team, teams)

    def _check_team(self, team: str, teams: Iterable[str] | None = None) -> None:
        """`teams`: those on record, where they were read already."""
        if team and teams is None:
            self.team(team)
        elif team and teams is not None and team not in teams:
            raise _no_team(team)

    def _put_new(self, target: Account | Repository) -> None:
        try:
            self.store.put(target, revision=0)
        except ConflictError as error:
            raise ConflictError(
                f"{target.id} is on record already.", fix=f"To change it: glovebox targets set {target.id} …"
            ) from error

    def _stored_repository(self, repository_id: str) -> Stored[Repository]:
        try:
            return self.store.get(Repository, require_repository_id(repository_id))
        except NotFoundError as error:
            raise not_on_record(repository_id) from error

    def _stored(self, account_id: str) -> Stored[Account]:
        try:
            return self.store.get(Account, require_account_id(account_id))
        except NotFoundError as error:
            raise not_on_record(account_id) from error

    def _stored_team(self, name: str) -> Stored[Team]:
        try:
            return self.store.get(Team, require_team_name(name))
        except NotFoundError as error:
            raise _no_team(name) from error


def _with_before(plan: ImportPlan) -> Iterable[tuple[Account | None, Account]]:
    yield from ((None, each) for each in plan.added)
    yield from ((each.before, each.after) for each in (*plan.changed, *plan.vanished))


def _no_team(name: str) -> NotFoundError:
    return NotFoundError(f"The team {name} is not on record.", fix=f"Put it there: glovebox teams add {name}")
