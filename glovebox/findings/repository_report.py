"""Reading what the outlet let out of a report about a repository: JSON lines, as hostile input all the same.

No scanner writes these lines, but whoever had taken the outlet could.  Each line is decoded, bound to the
scan's request, cleaned and redacted by itself; one that is refused is counted by the class of its defect and
costs no other.  Lines about one thing in several places are one finding.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from glovebox.findings.binding import Foreign
from glovebox.findings.canaries import PLANTED_FILES
from glovebox.findings.model import (
    GLOBAL,
    CheckText,
    Observation,
    Place,
    Severity,
    Status,
    identity_in_repository,
)
from glovebox.findings.packages import MAX_COMPONENTS, Component, Components
from glovebox.findings.report import Refusal, Refusals, RefusedItemError
from glovebox.findings.repository_identity import Thing, check_of, identity_of, rank
from glovebox.findings.repository_texts import (
    MAX_DETAIL,
    MAX_TAG,
    affected,
    component_of,
    name,
    shown,
    shown_path,
    slim,
    text_of,
)
from glovebox.findings.services import (
    KINGFISHER,
    SERVICES,
    TRIVY_LICENSE,
    TRIVY_MISCONFIGURATION,
    TRIVY_SECRET,
    TRIVY_VULNERABILITY,
    TRUFFLEHOG,
)
from glovebox.scans.model import MAX_FOUND_BYTES, MAX_FOUND_LINES
from glovebox.scans.redaction import redact
from glovebox.scans.repositories import CANARY, SOURCE, RepositoryScanner
from glovebox.scans.repository_lines import (
    MAX_LINE,
    License,
    Line,
    Misconfiguration,
    Package,
    Secret,
    Vulnerability,
)
from glovebox.text import clean

MAX_CHECKS: Final = 5_000
"""Texts of a target: their names and digests share one item of the table, 270 KB where nothing compresses."""
MAX_PLACES: Final = 20
"""That a finding names; all are counted.  A copied secret may be in hundreds."""
MAX_FIXES: Final = 10
MAX_PACKAGES: Final = 20
"""At different versions, that a finding names; of more, and of longer names, none, which stands for all."""
MAX_REFERENCE: Final = 512

_SEVERITIES: Final = {
    "UNKNOWN": Severity.INFORMATIONAL,
    "LOW": Severity.LOW,
    "MEDIUM": Severity.MEDIUM,
    "HIGH": Severity.HIGH,
    "CRITICAL": Severity.CRITICAL,
}
_LICENSE_LEAST: Final = Severity.MEDIUM
"""Trivy's reciprocal, restricted and forbidden licenses; what asks for a notice, or that nobody knows, is in
the bill of materials and no finding."""
_SECRET_SERVICES: Final[dict[RepositoryScanner, str]] = {
    "trivy": TRIVY_SECRET,
    "trufflehog": TRUFFLEHOG,
    "kingfisher": KINGFISHER,
}
_DECODER: Final[msgspec.json.Decoder[Line]] = msgspec.json.Decoder(Line)
_PLANTED: Final = f"{CANARY}/"
_FOUND: Final = f"{SOURCE}/"


class _Draft:
    """A finding while its lines come: what is shown does not depend on their order."""

    __slots__ = ("line", "packages", "places", "severity")

    def __init__(self, line: Thing, place: Place, severity: Severity) -> None:
        self.line = line
        self.places = {place}
        self.packages = affected(line)
        self.severity = severity

    def add(self, line: Thing, place: Place, severity: Severity) -> None:
        self.places.add(place)
        self.packages |= affected(line)
        self.severity = max(self.severity, severity)
        if rank(line) < rank(self.line):
            self.line = line


class RepositoryReport:
    """What a report said, once `read`; empty before.  Its memory is bounded by the limits above."""

    max_checks = MAX_CHECKS
    muted = 0

    def __init__(self, target: str, scanner: RepositoryScanner) -> None:
        self._target = target
        self._scanner: RepositoryScanner = scanner
        self._drafts: dict[bytes, _Draft] = {}
        self._fixes: dict[str, set[str]] = {}
        self._components = Components()
        self.observations: dict[bytes, Observation] = {}
        self.passed: frozenset[bytes] = frozenset()
        self.services: set[str] = set()
        """Those whose planted file was reported: they have spoken, whatever else they found."""
        self.checks: dict[str, CheckText] = {}
        self.refusals = Refusals()
        self.statuses: Counter[Status] = Counter()
        self.lines = 0
        self.items = 0
        """Findings and packages of the repository itself."""
        self.harmless = 0
        """Licenses that ask for nothing."""
        self.duplicates = 0
        """Further places of a finding."""
        self.untold = 0
        """Checks beyond `MAX_CHECKS`, whose findings have no texts."""
        self.empty = True
        self.too_large = False
        self.over_limit = False

    def read(self, data: bytes | mmap.mmap) -> RepositoryReport:
        """Take in a whole report; of one with more than `MAX_FOUND_BYTES` nothing.  Raises nothing."""
        if len(data) > MAX_FOUND_BYTES:
            self.too_large = True
            return self
        for number, body in enumerate(_lines(data), start=1):
            if number > MAX_FOUND_LINES:
                self.over_limit = True
                break
            self.lines = number
            if not body:
                continue  # The outlet's way to say that there is nothing, as no form takes an empty file.
            self.empty = False
            try:
                self._take(body)
            except RefusedItemError as error:
                self.refusals.take(number, error)
        self._finish()
        return self

    @property
    def components(self) -> Sequence[Component] | None:
        return self._components.listed() if self._scanner == "trivy" else None

    @property
    def counted(self) -> int | None:
        return None if self.too_large or self.over_limit else self.lines

    @property
    def troubles(self) -> tuple[str, ...]:
        """Why the report is not whole, one sentence each; none where it is."""
        if self.too_large:
            return (f"The report has more than {MAX_FOUND_BYTES:,} bytes; it was not read.",)
        found = ["The report is empty."] if self.empty else []
        if self.over_limit:
            found.append(f"The report has more than {MAX_FOUND_LINES:,} lines; the rest was not read.")
        return (*found, *self.refusals.sentences())

    @property
    def notes(self) -> Iterator[str]:
        """What was left out on purpose, and takes nothing from the findings."""
        if self.harmless:
            yield f"Licenses that ask for little, and are no findings: {self.harmless:,}."
        if self._components.dropped:
            yield f"Packages beyond the {MAX_COMPONENTS:,} that are kept: {self._components.dropped:,}."
        if self.untold:
            yield f"More than {MAX_CHECKS:,} kinds of findings: {self.untold:,} have no descriptions."

    # ------------------------------------------------------------ line by line

    def _take(self, body: bytes) -> None:
        line = _decoded(body)
        planted = line.path.startswith(_PLANTED)
        path = "" if planted else self._path(line.path)
        service = self._service(line)
        if planted:
            self._take_planted(line, service)
            return
        self.items += 1
        if isinstance(line, Package):
            self._components.add(component_of(line, shown_path(path)))
            return
        severity = _SEVERITIES[line.severity]
        if isinstance(line, License) and severity < _LICENSE_LEAST:
            self.harmless += 1
            return
        self.statuses[Status.FAIL] += 1
        self._note_text(line)
        key = identity_in_repository(self._target, *identity_of(line, path, service))
        place = Place(shown_path(path), getattr(line, "line", 0))
        line = slim(line, place.path)
        known = self._drafts.get(key)
        if known is None:
            self._drafts[key] = _Draft(line, place, severity)
        else:
            self.duplicates += 1
            known.add(line, place, severity)

    def _path(self, path: str) -> str:
        """As the repository knows it."""
        if not path.startswith(_FOUND) or ".." in path.split("/"):
            raise self._foreign(Foreign.PLACE, path)
        return path[len(_FOUND) :]

    def _service(self, line: Line) -> str:
        """Of a finding; raises for a kind of thing that the scanner does not look for."""
        if isinstance(line, Secret):
            return _SECRET_SERVICES[self._scanner]
        if self._scanner != "trivy":
            raise self._foreign(Foreign.KIND, type(line).__name__.lower())
        match line:
            case Vulnerability():
                return TRIVY_VULNERABILITY
            case Misconfiguration():
                return TRIVY_MISCONFIGURATION
            case License():
                return TRIVY_LICENSE
            case Package():
                return ""

    def _foreign(self, foreign: Foreign, said: str) -> RefusedItemError:
        self.refusals.foreign[foreign] += 1
        return RefusedItemError(Refusal.FOREIGN, f"{foreign}: {redact(said)}")

    def _take_planted(self, line: Line, service: str) -> None:
        """Whatever is said of planted files, only that they were seen is kept."""
        if isinstance(line, License | Package):
            return
        for canary in PLANTED_FILES:
            if canary.service == service and canary.named_by(line):
                self.services.add(service)
                self.observations[canary.id] = Observation(
                    id=canary.id,
                    check=canary.rule,
                    service=service,
                    region=GLOBAL,
                    resource=canary.path,
                    severity=_SEVERITIES[line.severity],
                    status=Status.FAIL,
                )

    def _note_text(self, line: Thing) -> None:
        check = check_of(line, self._scanner)
        if check not in self.checks:
            if len(self.checks) == MAX_CHECKS:
                self.untold += 1
                return
            self.checks[check] = text_of(check, line)
        if isinstance(line, Vulnerability) and line.fixed:
            fixes = self._fixes.setdefault(check, set())
            if len(fixes) < MAX_FIXES:
                fixes.add(f"{name(line.package, MAX_TAG)} to {name(line.fixed, MAX_TAG)}")

    # ------------------------------------------------------------ at the end

    def _finish(self) -> None:
        for key in list(self._drafts):
            # One form after the other, not both at once.
            self.observations[key] = self._observation(key, self._drafts.pop(key))
        for check, fixes in self._fixes.items():
            advice = f"Update {', '.join(sorted(fixes))}."
            self.checks[check] = msgspec.structs.replace(self.checks[check], remediation=advice)
        # What reads packages for their licenses reads them for their vulnerabilities too.
        if set(SERVICES["trivy"]) - self.services == {TRIVY_LICENSE}:
            self.services.add(TRIVY_LICENSE)

    def _observation(self, key: bytes, draft: _Draft) -> Observation:
        line, places = draft.line, sorted(draft.places)
        resource, named, kind, said = shown(line, places[0])
        where = f"in {len(places):,} places" if len(places) > 1 else ""
        detail = "; ".join(filter(None, (said, str(places[0]) if named != str(places[0]) else "", where)))
        return Observation(
            id=key,
            check=check_of(line, self._scanner),
            service=self._service(line),
            region=GLOBAL,
            resource=resource,
            name=named,
            type=kind,
            severity=draft.severity,
            status=Status.FAIL,
            detail=clean(detail, MAX_DETAIL),
            places=tuple(places[:MAX_PLACES]),
            packages=_packages(draft.packages),
        )


def _packages(found: set[str]) -> tuple[str, ...]:
    whole = len(found) <= MAX_PACKAGES and all(len(each) <= MAX_REFERENCE for each in found)
    return tuple(sorted(found)) if whole else ()


def _lines(data: bytes | mmap.mmap) -> Iterator[bytes]:
    """Without their ends; of what is longer than any line a little more than that."""
    position, size = 0, len(data)
    while position < size:
        end = data.find(b"\n", position)
        end = size if end < 0 else end
        yield data[position : min(end, position + MAX_LINE + 1)]
        position = end + 1


def _decoded(body: bytes) -> Line:
    if len(body) > MAX_LINE:
        raise RefusedItemError(Refusal.OVERSIZE)
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise RefusedItemError(Refusal.NO_LINE, redact(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedItemError(Refusal.NO_JSON, redact(str(error))) from error
    except RecursionError as error:
        raise RefusedItemError(Refusal.DEEP) from error
