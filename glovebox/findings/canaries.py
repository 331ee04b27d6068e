"""What we plant in each target so that a report which does not name it gives itself away.

In an account one role, which the stack of the audit role brings along (`stacks/audit_role.py`): EC2 may
assume it, and no condition says for whom, which is what the check looks for.  Its boundary denies everything,
so it grants nothing to anybody, whatever is attached to it.

Beside a repository's snapshot a few files, which the inlet makes anew for each task: a key that opens
nothing, a container file that runs as root, and a lock file of a package with known vulnerabilities.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from glovebox.findings.life import Coverage
from glovebox.findings.model import (
    GLOBAL,
    GLOBAL_SERVICES,
    identity_in_repository,
    prowler_identity,
    service_of,
)
from glovebox.findings.services import (
    KINGFISHER,
    SERVICES,
    TRIVY_MISCONFIGURATION,
    TRIVY_SECRET,
    TRIVY_VULNERABILITY,
    TRUFFLEHOG,
)
from glovebox.scans.repositories import (
    CANARY,
    CANARY_DOCKERFILE,
    CANARY_KEY,
    CANARY_LOCK,
    RepositoryScanner,
)
from glovebox.scans.repository_lines import Misconfiguration, Secret, Vulnerability

CANARY_ROLE: Final = "GloveboxCanary"
CHECK: Final = "iam_role_cross_service_confused_deputy_prevention"
"""In Prowler since version 3, asked whatever a target uses, and failed by the trust policy alone."""
CANARY_PACKAGE: Final = "lodash"


class PlantedResource(Struct, frozen=True, kw_only=True):
    """A known-bad resource of an account: this check must fail on it."""

    account: str
    check: str
    region: str
    resource: str

    @property
    def id(self) -> bytes:
        return prowler_identity(self.check, self.account, self.region, self.resource)

    @property
    def missed(self) -> str:
        return f"The planted resource {self.resource} was not reported by {self.check}."

    def expected(self, coverage: Coverage) -> bool:
        service = service_of(self.check)
        return coverage.covers(service, GLOBAL if service in GLOBAL_SERVICES else self.region)


class PlantedFile(Struct, frozen=True, kw_only=True):
    """A known-bad file beside a repository, which this service must find."""

    service: str
    file: str
    rule: str
    """As the scanner calls what is wrong with it; a vulnerability's package."""
    there: bool = True
    """Whether the scanner had what it needs to see it."""

    @property
    def path(self) -> str:
        """As the scanner was shown it."""
        return f"{CANARY}/{self.file}"

    @property
    def id(self) -> bytes:
        return identity_in_repository("", "canary", self.service)

    @property
    def missed(self) -> str:
        return f"The planted file {self.path} was not reported by {self.service} ({self.rule})."

    def expected(self, coverage: Coverage) -> bool:
        return self.there and coverage.covers(self.service, GLOBAL)

    def named_by(self, line: Vulnerability | Misconfiguration | Secret) -> bool:
        """Whether a line of its service's kind is about it."""
        said = (
            line.rule
            if isinstance(line, Secret)
            else line.id
            if isinstance(line, Misconfiguration)
            else line.package
        )
        return line.path == self.path and said.casefold() == self.rule.casefold()


PLANTED_FILES: Final = (
    PlantedFile(service=TRIVY_VULNERABILITY, file=CANARY_LOCK, rule=CANARY_PACKAGE),
    PlantedFile(service=TRIVY_MISCONFIGURATION, file=CANARY_DOCKERFILE, rule="DS-0002"),
    PlantedFile(service=TRIVY_SECRET, file=CANARY_KEY, rule="private-key"),
    PlantedFile(service=TRUFFLEHOG, file=CANARY_KEY, rule="PrivateKey"),
    PlantedFile(service=KINGFISHER, file=CANARY_KEY, rule="betterleaks.private-key"),
)
"""What each service must see; the key's value is another one in each task, so none is compared.

Trivy's licenses have none: what reads packages is the same that finds their vulnerabilities.
"""


def planted(account: str) -> tuple[PlantedResource, ...]:
    """IAM knows no regions, so one scan of a target's shards sees to it."""
    role = f"arn:aws:iam::{account}:role/{CANARY_ROLE}"
    return (PlantedResource(account=account, check=CHECK, region=GLOBAL, resource=role),)


def planted_files(scanner: RepositoryScanner, *, database: bool) -> tuple[PlantedFile, ...]:
    """Without a `database` of vulnerabilities there is nothing to see in the lock file."""
    return tuple(
        PlantedFile(service=each.service, file=each.file, rule=each.rule, there=database)
        if each.service == TRIVY_VULNERABILITY
        else each
        for each in PLANTED_FILES
        if each.service in SERVICES[scanner]
    )
