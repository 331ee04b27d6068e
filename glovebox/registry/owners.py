"""Whose a target is: rules by account, tag, organizational unit and repository; the most specific one wins.

| rank | an account's | a repository's |
|---|---|---|
| 1 | its own team, said when it was put on record | its own team |
| 2 | rule for its id | pattern without `*` |
| 3 | rule for a tag with its value | pattern with more characters that are no `*` |
| 4 | rule for a tag's key | pattern with fewer `*` |
| 5 | rule for a unit, the deepest first | by CODEOWNERS' `*`, the first team of its organization on record |
| 6 | – | its topic `team-NAME`, where that team is on record |

Two rules of one rank are decided by the alphabet, and the answer says that there were two: the same target
has the same owner on each machine and on each day, and nobody has to guess why.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

from glovebox.errors import InputError
from glovebox.registry.model import (
    MAX_TAG_KEY,
    MAX_TAG_VALUE,
    Account,
    Repository,
    parse_ou,
    require_account_id,
    require_team_name,
)
from glovebox.text import visible

MAX_PATTERN: Final = 256
MAX_STARS: Final = 3
"""Each one multiplies what a match may have to try: three over 140 characters are half a million."""
TEAM_TOPIC: Final = "team-"
"""What a topic begins with that names its repository's team."""
_CODE_OWNER: Final = re.compile(r"@([^/@\s]+)/(.+)")
"""A team of an organization; people are none, by name or by mail address."""
_WITH_HOST: Final = 2
"""Slashes of a name that begins with its host."""
_PATTERN: Final = re.compile(r"[A-Za-z0-9._/*-]+")


class By(StrEnum):
    """What a rule looks at."""

    ACCOUNT = "account"
    TAG = "tag"
    OU = "ou"
    REPOSITORY = "repository"


class OwnerRule(Struct, frozen=True, kw_only=True, rename="camel"):
    """What matches belongs to a team.  Raises InputError for values that cannot be.

    `value` is an account's id; `key` or `key=value` of a tag; a unit's path, which stands for all below it;
    or a repository pattern such as `acme/pay-*`, where `*` is any text within one part and `**` any at all,
    compared with `owner/name` and with the name that has its host before it.
    """

    by: By
    value: str
    team: str

    @property
    def name(self) -> str:
        """What it matches, in words; there is one rule at most of a name."""
        return f"{self.by.value}:{self.value}"

    def __post_init__(self) -> None:
        require_team_name(self.team)
        require_selector(self.by, self.value)


class Subject(Struct, frozen=True, kw_only=True):
    """What rules can see of a target."""

    account: str = ""
    ou: tuple[str, ...] = ()
    tags: Mapping[str, str] = {}
    repository: str = ""
    """`owner/name`, with or without the host before it."""
    codeowners: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    team: str = ""
    """Said of this very target."""

    @classmethod
    def of(cls, target: Account | Repository) -> Subject:
        if isinstance(target, Account):
            return cls(account=target.id, ou=target.ou, tags=target.tags, team=target.team)
        return cls(repository=target.id, codeowners=target.codeowners, topics=target.topics, team=target.team)

    @property
    def _owner(self) -> str:
        """The organization or person whose the repository is."""
        return self.repository.rpartition("/")[0].rpartition("/")[2].lower()

    @property
    def claims(self) -> Iterator[tuple[str, str]]:
        """Teams that the repository itself names, and where; any text may be among them."""
        for owner in self.codeowners:
            # Another organization may have a team of any name.
            match = _CODE_OWNER.fullmatch(owner)
            if match and match[1].lower() == self._owner:
                yield match[2].lower(), f"its CODEOWNERS gives everything to {owner}"
        for topic in sorted(self.topics):
            if topic.startswith(TEAM_TOPIC):
                yield topic.removeprefix(TEAM_TOPIC).lower(), f"it has the topic {topic}"


class Ownership(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose a target is, and why."""

    team: str
    """Empty where nobody owns it."""
    because: str
    rule: OwnerRule | None = None
    others: tuple[OwnerRule, ...] = ()
    """Rules that match as well, the most specific first."""

    @property
    def owned(self) -> bool:
        return bool(self.team)


def owner_of(subject: Subject, rules: Iterable[OwnerRule], teams: Collection[str] = ()) -> Ownership:
    """The owner by the most specific rule; the order of `rules` does not matter.

    `teams`: those on record, the only ones that a repository may name of itself.
    """
    matching = sorted((rule for rule in rules if matches(rule, subject)), key=_order)
    if subject.team:
        return Ownership(team=subject.team, because="said of this very target", others=tuple(matching))
    if not matching:
        return _self_named(subject, teams)
    first, *others = matching
    tied = [rule for rule in others if _rank(rule) == _rank(first) and rule.team != first.team]
    because = first.name
    if tied:
        named = ", ".join(f"{rule.name} ({rule.team})" for rule in tied)
        because += f", first in the alphabet; as specific: {named}"
    return Ownership(team=first.team, because=because, rule=first, others=tuple(others))


def _self_named(subject: Subject, teams: Collection[str]) -> Ownership:
    strangers = []
    for team, where in subject.claims:
        if team in teams:
            return Ownership(team=team, because=f"no rule matches; {where}")
        strangers.append(f"{where}, which is no team on record")
    return Ownership(team="", because="; ".join(["no rule matches", *strangers]))


def matches(rule: OwnerRule, subject: Subject) -> bool:
    """Whether the rule is about the target."""
    match rule.by:
        case By.ACCOUNT:
            return rule.value == subject.account
        case By.TAG:
            key, equals, value = rule.value.partition("=")
            return key in subject.tags and (not equals or subject.tags[key] == value)
        case By.OU:
            path = parse_ou(rule.value)
            return subject.ou[: len(path)] == path
        case By.REPOSITORY:
            # GitHub's names do not tell capitals apart.
            pattern, whole = _compiled(rule.value.lower()), subject.repository.lower()
            names = {whole, whole.partition("/")[2]} if whole.count("/") == _WITH_HOST else {whole}
            return any(pattern.fullmatch(name) for name in names)


def require_selector(by: By, value: str) -> None:
    """Raises InputError where no rule `by` this could have the value."""
    match by:
        case By.ACCOUNT:
            require_account_id(value)
        case By.TAG:
            key, _, wanted = value.partition("=")
            fits = bool(key) and len(key) <= MAX_TAG_KEY and len(wanted) <= MAX_TAG_VALUE
            if not fits or not value.isprintable():
                raise InputError(f"{visible(value, 80)!r} is no tag.", fix="Give key or key=value.")
        case By.OU:
            if not parse_ou(value) or "/".join(parse_ou(value)) != value:
                raise InputError(
                    f"{visible(value, 80)!r} is no unit's path.", fix="Give one such as Root/Prod/Payments."
                )
        case By.REPOSITORY:
            _require_pattern(value)


def _require_pattern(value: str) -> None:
    stars = len(re.findall(r"\*+", value))
    if len(value) > MAX_PATTERN or _PATTERN.fullmatch(value) is None or "***" in value or stars > MAX_STARS:
        raise InputError(
            f"{visible(value, 80)!r} is no repository pattern.",
            fix=f"Give one such as acme/pay-*, with at most {MAX_STARS} stars; ** goes across slashes.",
        )


_KINDS: Final = {By.ACCOUNT: 0, By.TAG: 1, By.OU: 2, By.REPOSITORY: 3}


def _order(rule: OwnerRule) -> tuple[tuple[int, ...], str, str]:
    return (_rank(rule), rule.name, rule.team)


def _rank(rule: OwnerRule) -> tuple[int, ...]:
    """Smaller is more specific."""
    kind = _KINDS[rule.by]
    match rule.by:
        case By.ACCOUNT:
            return (kind,)
        case By.TAG:
            return (kind, 0 if "=" in rule.value else 1)
        case By.OU:
            return (kind, -len(parse_ou(rule.value)))
        case By.REPOSITORY:
            stars = rule.value.count("*")
            return (kind, int(stars > 0), stars - len(rule.value), stars)


@lru_cache(maxsize=4_096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """`*` stops at the next slash, `**` does not."""
    parts = re.split(r"(\*{1,2})", pattern)
    wild = {"*": "[^/]*", "**": ".*"}
    return re.compile("".join(wild.get(part) or re.escape(part) for part in parts))
