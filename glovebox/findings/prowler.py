"""Reading Prowler's report, OCSF 1.5 Detection Findings in one JSON array, as hostile input.

Everything is checked and cut item by item; an item that is refused is counted by the class of its defect and
costs no other item.  Of a resource's raw configuration (`resources[].data`) nothing is read.
"""

from __future__ import annotations

import mmap
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from glovebox.findings.array import ArrayReader, End, Item
from glovebox.findings.binding import Binding, well_formed
from glovebox.findings.model import (
    GLOBAL,
    GLOBAL_SERVICES,
    CheckText,
    Observation,
    Severity,
    Status,
    prowler_identity,
    service_of,
)
from glovebox.findings.packages import Component
from glovebox.findings.report import Refusal, Refusals, RefusedItemError
from glovebox.scans.model import MAX_OCSF_REPORT_BYTES
from glovebox.text import clean, plain, visible

MAX_ITEMS: Final = 100_000
"""Twice the findings of the largest accounts."""
MAX_CHECKS: Final = 2_000
"""Prowler has 661 for AWS."""
SCHEMA: Final = re.compile(r"1\.5\.[0-9]{1,3}")
DETECTION_FINDING: Final = 2004
"""OCSF's `class_uid`."""
MAX_NAME: Final = 256
MAX_RESOURCE: Final = 2_048
"""AWS's own limit of an ARN."""
MAX_DETAIL: Final = 600
"""A finding is to fit one write unit of 1 KB; Prowler's longest details list ports and policies."""
MAX_TEXT: Final = 4_000
MAX_REFERENCES: Final = 20
MAX_REQUIREMENTS: Final = 1_000
MAX_COMPLIANCE: Final = 20_000
"""Characters of frameworks and their requirements a check; Prowler's longest lists have 6,000."""
MUTED: Final = 3
"""OCSF's `status_id` Suppressed."""

_CHECK: Final = re.compile(r"(?=.{3,128}\Z)[a-z][a-z0-9]{0,30}(?:_[a-z0-9]{1,60})+")
_REGION: Final = re.compile(r"global|[a-z]{2}(?:-[a-z]{1,10}){1,3}-[0-9]{1,2}")


_Text = Annotated[str, Meta(max_length=65_536)]
_Name = Annotated[str, Meta(max_length=MAX_RESOURCE)]


class _Product(Struct, frozen=True):
    version: _Name = ""


class _Metadata(Struct, frozen=True):
    event_code: _Name
    version: _Name
    product: _Product = _Product()


class _Info(Struct, frozen=True):
    title: _Text = ""
    desc: _Text = ""


class _Resource(Struct, frozen=True):
    uid: _Name
    region: _Name
    name: _Text = ""
    type: _Text = ""


class _Account(Struct, frozen=True):
    uid: _Name


class _Cloud(Struct, frozen=True):
    account: _Account
    region: _Name


class _Remediation(Struct, frozen=True):
    desc: _Text = ""
    references: list[_Text] = []


class _Unmapped(Struct, frozen=True):
    categories: list[_Text] = []
    compliance: dict[_Text, list[_Text]] = {}


class _Item(Struct, frozen=True):
    """The fields of a Detection Finding that are read; there are many more."""

    metadata: _Metadata
    class_uid: int
    severity_id: int
    status_code: Status
    resources: Annotated[list[_Resource], Meta(min_length=1, max_length=1)]
    cloud: _Cloud
    status_id: int = 0
    message: _Text = ""
    status_detail: _Text = ""
    finding_info: _Info = _Info()
    remediation: _Remediation = _Remediation()
    risk_details: _Text = ""
    unmapped: _Unmapped = _Unmapped()


_DECODER: Final = msgspec.json.Decoder(_Item)


class ProwlerReport:
    """What a report said, once `read`; empty before.  Its memory is bounded by the limits above."""

    max_checks = MAX_CHECKS
    components: Sequence[Component] | None = None

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self._texts: dict[str, str] = {}
        self.observations: dict[bytes, Observation] = {}
        """What failed, or only a person can judge."""
        self.passed: set[bytes] = set()
        self.services: set[str] = set()
        """Those that at least one good item is about."""
        self.checks: dict[str, CheckText] = {}
        self.items = 0
        self.statuses: Counter[Status] = Counter()
        self.duplicates = 0
        """Further verdicts of a check on one resource; the worst counts."""
        self.muted = 0
        """Items that say to be muted.  We mute nothing in the scanner, so they count like all others."""
        self.refusals = Refusals()
        self.schemas: Counter[str] = Counter()
        """Versions of the schema that are not ours, of at most ten."""
        self.versions: set[str] = set()
        """Prowler's own, at most ten."""
        self.end = End.EMPTY
        self.too_large = False
        self.over_limit = False
        """Whether there are more than `MAX_ITEMS`, of which the rest was not read."""

    def read(self, data: bytes | mmap.mmap) -> ProwlerReport:
        """Take in a whole report; of one with more than `MAX_OCSF_REPORT_BYTES` nothing.  Raises nothing."""
        if len(data) > MAX_OCSF_REPORT_BYTES:
            self.too_large = True
            return self
        array = ArrayReader(data)
        for item in array.items():
            if item.number > MAX_ITEMS:
                self.over_limit = True
                break
            self.items = item.number
            try:
                self._take(item)
            except RefusedItemError as error:
                self.refusals.take(item.number, error)
        self.end = End.EMPTY if array.end is End.WHOLE and not self.items else array.end
        return self

    @property
    def counted(self) -> int | None:
        return self.items if self.end is End.WHOLE and not self.over_limit else None

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why the report is not whole, one sentence each; none where it is."""
        if self.too_large:
            return (f"The report has more than {MAX_OCSF_REPORT_BYTES:,} bytes; it was not read.",)
        found = [] if self.end is End.WHOLE else [str(self.end)]
        if self.over_limit:
            found.append(f"The report has more than {MAX_ITEMS:,} items; the rest was not read.")
        found += self.refusals.sentences()
        if self.schemas:
            found.append(f"Versions of OCSF that are not read: {', '.join(sorted(self.schemas))}.")
        if not self.services and self.end is End.WHOLE:
            found.append("Not one item of the report can be used.")
        return tuple(found)

    def _take(self, item: Item) -> None:
        if item.broken is not None:
            raise RefusedItemError(Refusal(item.broken.value))
        raw = _decoded(item.body)
        self._check_schema(raw)
        observation = self._observation(raw)
        self._note_text(raw)
        self.services.add(observation.service)
        self.statuses[observation.status] += 1
        self.muted += raw.status_id == MUTED
        if len(self.versions) < 10:
            self.versions.add(visible(raw.metadata.product.version, 40))
        self._keep(observation)

    def _check_schema(self, raw: _Item) -> None:
        version = raw.metadata.version
        if SCHEMA.fullmatch(version) is None:
            shown = visible(version, 20)
            if len(self.schemas) < 10 or shown in self.schemas:
                self.schemas[shown] += 1
            raise RefusedItemError(Refusal.OTHER_SCHEMA, shown)
        if raw.class_uid != DETECTION_FINDING:
            raise RefusedItemError(Refusal.NO_FINDING, f"class {raw.class_uid}")

    def _observation(self, raw: _Item) -> Observation:
        check, [resource] = raw.metadata.event_code, raw.resources
        named = (
            _CHECK.fullmatch(check)
            and _REGION.fullmatch(resource.region)
            and resource.region == raw.cloud.region
            and resource.uid
            and plain(resource.uid) == resource.uid
            and well_formed(resource.uid)
        )
        if not named:
            raise RefusedItemError(Refusal.BAD_NAME, f"{check} {resource.region} {resource.uid}")
        account, service = raw.cloud.account.uid, service_of(check)
        foreign = self._binding.foreign(
            account=account, region=resource.region, service=service, resource=resource.uid
        )
        if foreign is not None:
            self.refusals.foreign[foreign] += 1
            raise RefusedItemError(Refusal.FOREIGN, f"{foreign}: {account} {resource.region} {resource.uid}")
        return Observation(
            id=prowler_identity(check, account, resource.region, resource.uid),
            check=self._same(check),
            service=self._same(service),
            region=GLOBAL if service in GLOBAL_SERVICES else self._same(resource.region),
            resource=resource.uid,
            name=clean(resource.name, MAX_NAME),
            type=self._same(clean(resource.type, MAX_NAME)),
            severity=_severity(raw.severity_id),
            status=raw.status_code,
            detail=clean(raw.status_detail or raw.message, MAX_DETAIL),
        )

    def _same(self, text: str) -> str:
        """One object for a text that thousands of items repeat."""
        return self._texts.setdefault(text, text) if len(self._texts) < 10 * MAX_CHECKS else text

    def _note_text(self, raw: _Item) -> None:
        check = raw.metadata.event_code
        if check in self.checks:
            return
        if len(self.checks) == MAX_CHECKS:
            raise RefusedItemError(Refusal.TOO_MANY_CHECKS, check)
        self.checks[check] = _text(raw)

    def _keep(self, observation: Observation) -> None:
        known = self.observations.get(observation.id)
        if known is not None or observation.id in self.passed:
            self.duplicates += 1
        if observation.status is Status.PASS:
            if known is None:
                self.passed.add(observation.id)
        elif known is None or known.rank < observation.rank:
            self.passed.discard(observation.id)
            self.observations[observation.id] = observation


def _decoded(body: bytes) -> _Item:
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise RefusedItemError(Refusal.NO_FINDING, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedItemError(Refusal.NO_JSON, str(error)) from error
    except RecursionError as error:
        raise RefusedItemError(Refusal.DEEP) from error


def _severity(number: int) -> Severity:
    """OCSF also has 0 Unknown, 6 Fatal and 99 Other, which Prowler does not use."""
    try:
        return Severity(number)
    except ValueError as error:
        raise RefusedItemError(Refusal.NO_FINDING, f"severity {number}") from error


def _text(raw: _Item) -> CheckText:
    return CheckText(
        check=raw.metadata.event_code,
        title=clean(raw.finding_info.title, MAX_NAME),
        description=clean(raw.finding_info.desc, MAX_TEXT),
        risk=clean(raw.risk_details, MAX_TEXT),
        remediation=clean(raw.remediation.desc, MAX_TEXT),
        references=tuple(_links(raw.remediation.references)),
        categories=tuple(clean(each, 64) for each in raw.unmapped.categories[:MAX_REFERENCES]),
        compliance=_compliance(raw.unmapped.compliance),
    )


def _compliance(frameworks: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """The frameworks that fit, in their order."""
    kept: dict[str, tuple[str, ...]] = {}
    room = MAX_COMPLIANCE
    for framework, requirements in frameworks.items():
        texts = tuple(clean(each, 100) for each in requirements[:MAX_REQUIREMENTS])
        room -= 100 + sum(len(text) + 4 for text in texts)
        if room < 0:
            break
        kept[clean(framework, 100)] = texts
    return kept


def _links(references: list[str]) -> Iterator[str]:
    """References that may become links: https, and nothing hidden in them."""
    for reference in references[:MAX_REFERENCES]:
        if (
            reference.startswith("https://")
            and plain(reference) == reference
            and len(reference) <= MAX_RESOURCE
        ):
            yield reference
