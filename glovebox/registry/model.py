"""Accounts, repositories and teams as they are on record.

A value that cannot be one raises InputError where it is made, so nothing further in has to ask again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from glovebox.errors import InputError, RefusedError
from glovebox.findings.life import MAX_ACCEPTANCE_DAYS
from glovebox.scans.repositories import (
    REPOSITORY_ID,
    REPOSITORY_SCANNERS,
    RepositoryScanner,
    target_of,
)
from glovebox.text import visible

ACCOUNT_ID: Final = re.compile(r"[0-9]{12}")
REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")
TEAM_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9-]{16,128}")
"""As the deployment's own: long enough not to be guessed, and nothing that a template has to escape."""

MAX_NAME: Final = 128
MAX_TAGS: Final = 50
MAX_TAG_KEY: Final = 128
MAX_TAG_VALUE: Final = 256
"""Of AWS Organizations, as is the depth of its tree below the root."""
MAX_OU_DEPTH: Final = 6
"""The root and five levels."""
MAX_REGIONS: Final = 40
"""AWS has 39 in its largest partition."""
MAX_BRANCH: Final = 255
"""Of git's names of references, on common file systems."""
MAX_LABELS: Final = 20
"""GitHub's limit of topics; more owners of everything own nothing."""
MAX_CONTACTS: Final = 20
MAX_CONTACT: Final = 254
"""The longest address that mail can carry (RFC 5321, 4.5.3.1.3, without its brackets)."""
DEFAULT_ACCEPTANCE_DAYS: Final = 90
"""A quarter: longer than most repairs, short enough that somebody looks again before he has forgotten why."""

_CONTACT: Final = re.compile(r"[^@\s,<>]+@[^@\s,<>]+\.[^@\s,<>]+|#[a-z0-9_-]{1,80}")


class Source(StrEnum):
    """Who put an account on record; an import disables only what an import has brought."""

    PERSON = "person"
    FILE = "file"
    ORGANIZATION = "organization"
    HOST = "host"
    """The host of repositories, through the installation of our App."""


class Disabled(StrEnum):
    """Why an account is not scanned."""

    BY_HAND = "by hand"
    VANISHED = "vanished"
    """The organization does not know it any more."""
    INACTIVE = "inactive"
    """The organization says that it is suspended, closed or on its way there."""


class Account(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An AWS account that may be scanned.  Raises InputError for values that cannot be."""

    id: str
    name: str = ""
    ou: tuple[str, ...] = ()
    """From the organization's root down; empty where nobody said."""
    tags: dict[str, str] = {}
    regions: tuple[str, ...] = ()
    """Empty: those of the deployment."""
    team: str = ""
    """Said of this very account; empty: the owner rules say it."""
    disabled: Disabled | None = None
    external_id: str = ""
    """Empty: that of the deployment."""
    source: Source = Source.PERSON

    @property
    def enabled(self) -> bool:
        return self.disabled is None

    @property
    def target(self) -> str:
        """Its name among findings."""
        return f"aws:{self.id}"

    def __post_init__(self) -> None:
        require_account_id(self.id)
        _require_text("name", self.name, MAX_NAME)
        _require_ou(self.ou)
        _require_tags(self.tags)
        _require_regions(self.regions)
        if self.team:
            require_team_name(self.team)
        if self.external_id and EXTERNAL_ID.fullmatch(self.external_id) is None:
            raise InputError(
                "The external id cannot be one.", fix="It is 16 to 128 letters, digits and hyphens."
            )


class Repository(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A repository that may be scanned.  Raises InputError for values that cannot be."""

    id: str
    """`github.com/acme/shop`, in lower case."""
    number: int = 0
    """The host's own, which a renamed repository keeps; 0 where nobody said."""
    installation: int = 0
    """Of our App, through which it is reached; 0: whichever the host names."""
    default_branch: str = ""
    private: bool = True
    archived: bool = False
    topics: tuple[str, ...] = ()
    codeowners: tuple[str, ...] = ()
    """Who owns everything (`*`) by its CODEOWNERS, as written there: `@acme/payments`."""
    team: str = ""
    """Said of this very repository; empty: the owner rules, CODEOWNERS and topics say it."""
    scanners: tuple[RepositoryScanner, ...] = ()
    """Empty: those of the deployment."""
    disabled: Disabled | None = None
    source: Source = Source.PERSON

    @property
    def enabled(self) -> bool:
        return self.disabled is None

    @property
    def target(self) -> str:
        """Its name among findings."""
        return target_of(self.id)

    def __post_init__(self) -> None:
        require_repository_id(self.id)
        if min(self.number, self.installation) < 0:
            raise InputError("Numbers of repositories and installations are not below 0.")
        _require_text("branch", self.default_branch, MAX_BRANCH)
        for what, texts in (("topic", self.topics), ("code owner", self.codeowners)):
            if len(texts) > MAX_LABELS:
                raise InputError(f"A repository has at most {MAX_LABELS} of each {what}.")
            for text in texts:
                _require_text(what, text, MAX_NAME)
        if self.team:
            require_team_name(self.team)
        if not set(self.scanners) <= set(REPOSITORY_SCANNERS):
            raise InputError(
                "There is no such scanner of repositories.",
                fix=f"There are {', '.join(REPOSITORY_SCANNERS)}.",
            )


class Team(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Who owns targets and hears of what is new there.  Raises InputError for values that cannot be."""

    name: str
    contacts: tuple[str, ...] = ()
    """Mail addresses and Slack channels (`#name`)."""
    acceptance_days: int = DEFAULT_ACCEPTANCE_DAYS
    """The longest that a finding of its targets may be accepted for."""

    def __post_init__(self) -> None:
        require_team_name(self.name)
        if len(self.contacts) > MAX_CONTACTS:
            raise InputError(f"A team has at most {MAX_CONTACTS} contacts.")
        for contact in self.contacts:
            if len(contact) > MAX_CONTACT or _CONTACT.fullmatch(contact) is None:
                raise InputError(
                    f"{visible(contact, 80)!r} is no contact.",
                    fix="Give a mail address, or a Slack channel such as #security.",
                )
        if not 1 <= self.acceptance_days <= MAX_ACCEPTANCE_DAYS:
            raise InputError(
                f"{self.acceptance_days} is no number of days for acceptances.",
                fix=f"Give 1 to {MAX_ACCEPTANCE_DAYS}.",
            )


def require_account_id(text: str) -> str:
    """Raises InputError for anything but twelve digits."""
    if ACCOUNT_ID.fullmatch(text) is None:
        raise InputError(
            f"{visible(text, 40)!r} is no account id.",
            fix="It has twelve digits; spreadsheets drop those zeros that it begins with.",
        )
    return text


def require_repository_id(text: str) -> str:
    """Raises InputError for anything but `host/owner/name` in lower case."""
    if REPOSITORY_ID.fullmatch(text) is None:
        raise InputError(
            f"{visible(text, 80)!r} is no repository.", fix="Give host, owner and name: github.com/acme/shop."
        )
    return text


def require_team_name(text: str) -> str:
    """Raises InputError for anything but lower-case letters, digits and hyphens inside."""
    if TEAM_NAME.fullmatch(text) is None:
        raise InputError(
            f"{visible(text, 80)!r} is no team's name.",
            fix="Use up to 63 lower-case letters, digits and hyphens, such as payments.",
        )
    return text


def refuse_scanning_account(account_id: str, scanning_account: str) -> None:
    """Raises RefusedError where both are one.

    A scanner that may describe the tasks of its own account reads what other scans are given.
    """
    require_account_id(scanning_account)
    if account_id == scanning_account:
        raise RefusedError(
            f"{account_id} is the account that scans; it can never be a target.",
            fix="Scan it from a second deployment in another account.",
        )


def parse_tag(text: str) -> tuple[str, str]:
    """`key=value`, where the value may be empty.  Raises InputError."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InputError(f"{visible(text, 80)!r} is no tag.", fix="Give it as key=value.")
    return key, value


def parse_ou(text: str) -> tuple[str, ...]:
    """`Root/Prod/Payments` as its parts; empty for empty text.  Raises InputError."""
    parts = tuple(text.strip("/").split("/")) if text.strip("/") else ()
    _require_ou(parts)
    return parts


def _require_ou(parts: tuple[str, ...]) -> None:
    if len(parts) > MAX_OU_DEPTH or not all(parts) or any("/" in part for part in parts):
        raise InputError(
            f"{visible('/'.join(parts), 200)!r} is no path of organizational units.",
            fix="Give it from the root down, such as Root/Prod/Payments.",
        )
    for part in parts:
        _require_text("organizational unit", part, MAX_NAME)


def _require_tags(tags: dict[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        raise InputError(f"An account has at most {MAX_TAGS} tags.")
    for key, value in tags.items():
        # A key with `=` could not be told from a key and its value where rules name tags.
        if not key or "=" in key:
            raise InputError(
                f"{visible(key, 80)!r} is no tag's key here.", fix="A key is not empty and has no =."
            )
        _require_text("tag's key", key, MAX_TAG_KEY)
        _require_text("tag's value", value, MAX_TAG_VALUE)


def _require_regions(regions: Iterable[str]) -> None:
    listed = list(regions)
    if len(listed) > MAX_REGIONS or len(set(listed)) < len(listed):
        raise InputError(f"Name at most {MAX_REGIONS} regions, each once.")
    for region in listed:
        if REGION.fullmatch(region) is None:
            raise InputError(f"{visible(region, 40)!r} is no region.", fix="Give one such as eu-central-1.")


def _require_text(what: str, text: str, limit: int) -> None:
    if len(text) > limit or not text.isprintable():
        raise InputError(
            f"{visible(text, 80)!r} is no {what}.", fix=f"Use up to {limit} characters that can be seen."
        )
