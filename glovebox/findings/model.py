"""A finding: what it is, which one it is, and how bad.

Its identity is a hash of what does not change from scan to scan (check, account, region, resource), never
of a text or a severity.  `State` is what became of it; `life.py` has the only ways in which that changes.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Collection
from enum import IntEnum, StrEnum
from typing import Final

import msgspec
from msgspec import Struct

ID_BYTES: Final = 20
"""160 bits of SHA-256, as in the names of git's objects: no accident hits them, and nobody gains by more,
because a target's findings are reached by that target's scans only."""
_DOMAIN: Final = b"glovebox/finding/1"
_DIGITS: Final = re.compile(r"[0-9]+")

GLOBAL: Final = "global"
GLOBAL_SERVICES: Final = frozenset(
    {
        "account",
        "cloudfront",
        "fms",
        "globalaccelerator",
        "iam",
        "organizations",
        "route53",
        "shield",
        "trustedadvisor",
    }
)
"""Services without regions.  Prowler reports them under the first of a *set* of regions, which is another one
from run to run, and even writes it into some ARNs: for these neither counts."""


class Severity(IntEnum):
    """OCSF's `severity_id`."""

    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


class Status(StrEnum):
    """What a check said of a resource."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    MANUAL = "MANUAL"
    """Nobody but a person can tell: opens nothing and resolves nothing."""
    FAIL = "FAIL"


class State(StrEnum):
    NEW = "new"
    """Seen for the first time by the target's latest scan; `open` from the next one on."""
    OPEN = "open"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    """It had been resolved and is back; stays so until it is resolved or accepted."""
    ACCEPTED = "accepted"

    @property
    def live(self) -> bool:
        """Whether somebody has to do something about it."""
        return self in _LIVE


_LIVE: Final = frozenset({State.NEW, State.OPEN, State.REOPENED})


class Place(Struct, frozen=True, array_like=True, gc=False, order=True):
    """Where in a repository something was found."""

    path: str
    line: int = 0
    """From 1; 0 where nobody says."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


class Observation(Struct, frozen=True, kw_only=True, gc=False):
    """One check's verdict on one resource, cleaned and bound to the scan's request."""

    id: bytes
    check: str
    service: str
    region: str
    resource: str
    """The ARN, or the scanner's name for what has none."""
    name: str = ""
    type: str = ""
    severity: Severity
    status: Status
    detail: str = ""
    places: tuple[Place, ...] = ()
    """In a repository: in their order, not necessarily all."""
    packages: tuple[str, ...] = ()
    """Those with the vulnerability, as `packages.reference` names them; empty where not all are told."""

    @property
    def digest(self) -> bytes:
        """Four bytes that differ where the finding says something else.

        Numbers in details do not count: "last used 41 days ago" is another text each day and the same
        finding.  Lines do: who opens a file is to find there what the finding speaks of.
        """
        said = [str(int(self.severity)), self.name, self.type, _DIGITS.sub("0", self.detail)]
        said += map(str, self.places)
        said += self.packages
        return hashlib.sha256("\0".join(said).encode()).digest()[:4]

    @property
    def rank(self) -> tuple[int, int, str]:
        """Of two verdicts on one resource by one check the greater counts, in whatever order they come."""
        return (_GRAVITY[self.status], int(self.severity), self.detail)


_GRAVITY: Final = {Status.PASS: 0, Status.MANUAL: 1, Status.FAIL: 2}


class CheckText(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a scanner says about a check, the same for all its findings, so that it is kept once a target."""

    check: str
    title: str = ""
    description: str = ""
    risk: str = ""
    remediation: str = ""
    references: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    compliance: dict[str, tuple[str, ...]] = {}

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).digest()[:4]


class Acceptance(Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody lives with a finding, until a day."""

    reason: str
    owner: str
    until: int
    """Epoch seconds."""


class Finding(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A finding as it is kept and shown."""

    target: str
    id: str
    check: str
    service: str
    account: str
    region: str
    resource: str
    name: str = ""
    type: str = ""
    severity: Severity
    detail: str = ""
    """As of the last scan in which it said something else."""
    state: State
    since: int
    """When its state began; epoch seconds, as all moments here."""
    first_seen: int
    scan_id: str
    """The scan that changed it last."""
    acceptance: Acceptance | None = None
    text: CheckText | None = None
    places: tuple[Place, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def repository(self) -> str:
        """Where it was found, where that is a repository; else empty, as `account` is there."""
        return repository_of(self.target)

    @property
    def ref(self) -> str:
        """Of the repository, where that is not its default branch."""
        return ref_of(self.target)


def identity(*parts: str) -> bytes:
    """The id of what `parts` name; each is hashed with its length, so no two lists make one id."""
    digest = hashlib.sha256(_DOMAIN)
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big"))
        digest.update(raw)
    return digest.digest()[:ID_BYTES]


def prowler_identity(check: str, account: str, region: str, resource: str) -> bytes:
    """`check|account|region|ARN`, where services without regions have none in either place."""
    if service_of(check) not in GLOBAL_SERVICES:
        return identity("prowler", check, account, region, resource)
    fields = resource.split(":", 5)
    if len(fields) == 6:
        fields[3] = ""
    return identity("prowler", check, account, GLOBAL, ":".join(fields))


def identity_in_repository(target: str, *parts: str) -> bytes:
    """Of what was found in a repository; `parts` begin with the scanner and the kind of thing."""
    return identity("repository", target, *parts)


def account_of(target: str) -> str:
    """The account that a target is; empty for others."""
    return target.removeprefix("aws:") if target.startswith("aws:") else ""


def repository_of(target: str) -> str:
    """The repository that a target is, whatever its ref; empty for others."""
    return target.removeprefix("repo:").partition("@")[0] if target.startswith("repo:") else ""


def ref_of(target: str) -> str:
    """The ref that a target is; empty for a default branch, and for others than repositories."""
    return target.partition("@")[2] if target.startswith("repo:") else ""


def name_of(target: str) -> str:
    """A target as people know it: an account's id, a repository's, and behind that `@` and a ref."""
    return target.partition(":")[2]


def arguments_of(target: str) -> str:
    """A target as our commands take it, to be copied into a shell: `github.com/acme/shop --ref v1.2`."""
    ref = ref_of(target)
    return f"{repository_of(target)} --ref {shlex.quote(ref)}" if ref else name_of(target)


def service_of(check: str) -> str:
    """Prowler's checks are named `<service>_<what>`, which its own tests hold."""
    return check.partition("_")[0]


def asked(service: str, services: Collection[str] | None, without: Collection[str]) -> bool:
    """Whether a scan was asked for a service: for `services` (`None`: all) but those in `without`."""
    return service not in without and (services is None or service in services)
