"""Reading what the outlet let out of a report about a repository: JSON lines, as hostile input all the same.

No scanner writes these lines, but whoever had taken the outlet could.  Each line is decoded, bound to the
scan's request, cleaned and redacted by itself; one that is refused is counted by the class of its defect and
costs no other.  Lines about one thing in several places are one finding.
"""

from __future__ import annotations

import hashlib
import mmap
import re
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
    repository_identity,
)
from glovebox.findings.packages import MAX_COMPONENTS, Component, Components, safe_purl, without_version
from glovebox.findings.report import Refusal, Refusals, RefusedItemError
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
from glovebox.text import clean, visible

MAX_CHECKS: Final = 5_000
"""Texts of a target: their names and digests share one item of the table, 270 KB where nothing compresses."""
MAX_CHECK: Final = 64
MAX_NAME: Final = 256
MAX_PATH: Final = 1_024
"""Characters that are kept of a path; PATH_MAX is four times that."""
MAX_DETAIL: Final = 600
MAX_TEXT: Final = 1_000
"""Of a description: the paragraph that people read; what it refers to has the rest."""
MAX_PLACES: Final = 20
"""That a finding names; all are counted.  A copied secret may be in hundreds."""
MAX_FIXES: Final = 10
MAX_LICENSES: Final = 5
MAX_TAG: Final = 64

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
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_DECODER: Final[msgspec.json.Decoder[Line]] = msgspec.json.Decoder(Line)
_PLANTED: Final = f"{CANARY}/"
_FOUND: Final = f"{SOURCE}/"

_Finding = Vulnerability | Misconfiguration | Secret | License


class _Draft:
    """A finding while its lines come: what is shown does not depend on their order."""

    __slots__ = ("line", "places", "severity")

    def __init__(self, line: _Finding, place: Place, severity: Severity) -> None:
        self.line = line
        self.places = {place}
        self.severity = severity

    def add(self, line: _Finding, place: Place, severity: Severity) -> None:
        self.places.add(place)
        self.severity = max(self.severity, severity)
        if _rank(line) < _rank(self.line):
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
            yield f"{self.harmless:,} licenses that ask for little are no findings."
        if self._components.dropped:
            yield f"Of the packages {self._components.dropped:,} are not kept: {MAX_COMPONENTS:,} are."
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
            self._components.add(_component(line, _shown_path(path)))
            return
        severity = _SEVERITIES[line.severity]
        if isinstance(line, License) and severity < _LICENSE_LEAST:
            self.harmless += 1
            return
        self.statuses[Status.FAIL] += 1
        self._note_text(line)
        key = repository_identity(self._target, *_identity(line, path, service))
        place = Place(_shown_path(path), getattr(line, "line", 0))
        line = _slim(line, place.path)
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

    def _note_text(self, line: _Finding) -> None:
        check = _check(line, self._scanner)
        if check not in self.checks:
            if len(self.checks) == MAX_CHECKS:
                self.untold += 1
                return
            self.checks[check] = _text(check, line)
        if isinstance(line, Vulnerability) and line.fixed:
            fixes = self._fixes.setdefault(check, set())
            if len(fixes) < MAX_FIXES:
                fixes.add(f"{_name(line.package, MAX_TAG)} to {_name(line.fixed, MAX_TAG)}")

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
        resource, name, kind, said = _shown(line, places[0])
        where = f"in {len(places):,} places" if len(places) > 1 else ""
        detail = "; ".join(filter(None, (said, str(places[0]) if name != str(places[0]) else "", where)))
        return Observation(
            id=key,
            check=_check(line, self._scanner),
            service=self._service(line),
            region=GLOBAL,
            resource=resource,
            name=name,
            type=kind,
            severity=draft.severity,
            status=Status.FAIL,
            detail=clean(detail, MAX_DETAIL),
            places=tuple(places[:MAX_PLACES]),
        )


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


def _identity(line: _Finding, path: str, service: str) -> tuple[str, ...]:
    """What does not change while the thing stays: no version, no line, no severity and no text."""
    match line:
        case Vulnerability():
            return (service, without_version(safe_purl(line.purl)) or line.package, line.id)
        case Misconfiguration():
            return (service, path, line.id, line.resource)
        case Secret():
            # Trivy masks the value in what it tells, so that equal texts may be two secrets.
            where = (path,) if service == TRIVY_SECRET else ()
            return (service, line.rule, line.fingerprint, *where)
        case License():
            return (service, line.name, line.package or path)


def _slim(line: _Finding, path: str) -> _Finding:
    """Without what is told of the check and not of the finding, so that a hundred thousand fit."""
    match line:
        case Vulnerability():
            return msgspec.structs.replace(line, path=path, title="", description="", url="")
        case Misconfiguration():
            said = _prose(line.message, MAX_DETAIL)
            return msgspec.structs.replace(
                line, path=path, message=said, title="", description="", resolution="", url=""
            )
        case Secret():
            return msgspec.structs.replace(line, path=path, title=_name(line.title))
        case License():
            return msgspec.structs.replace(line, path=path)


def _rank(line: _Finding) -> tuple[object, ...]:
    """Of the lines of one finding the least is shown."""
    match line:
        case Vulnerability():
            return (line.path, line.installed, line.fixed)
        case Misconfiguration():
            return (line.path, line.line, line.message)
        case Secret():
            return (line.path, line.line)
        case License():
            return (line.path, line.category)


def _check(line: _Finding, scanner: RepositoryScanner) -> str:
    match line:
        case Vulnerability() | Misconfiguration():
            return _safe(line.id, MAX_CHECK)
        case Secret():
            return f"secret:{scanner}:{_safe(line.rule, MAX_CHECK - 20)}"
        case License():
            return f"license:{_safe(line.name, MAX_CHECK - 20)}"


def _safe(text: str, limit: int) -> str:
    """A name of letters, digits, dots, lines and hyphens; one that is cut stays another than its like."""
    made = _UNSAFE.sub("-", redact(text)).strip("-") or "unnamed"
    if len(made) <= limit:
        return made
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{made[: limit - 9]}-{digest}"


def _shown(line: _Finding, place: Place) -> tuple[str, str, str, str]:
    """What a person looks for, its name here, its type, and what to say of it."""
    match line:
        case Vulnerability():
            package = _name(line.package)
            versions = " → ".join(filter(None, (_name(line.installed), _name(line.fixed))))
            said = versions if line.fixed else f"{versions}, {_name(line.status) or 'no fix'}"
            resource = redact(without_version(safe_purl(line.purl))) or package
            return (resource, _name(f"{line.package}@{line.installed}"), "vulnerability", said)
        case Misconfiguration():
            said = ": ".join(filter(None, (_name(line.resource), line.message)))
            return (place.path, str(place), _name(line.type) or "misconfiguration", said)
        case Secret():
            return (place.path, str(place), "secret", line.title)
        case License():
            package = _name(line.package)
            said = " ".join(filter(None, (_name(line.category), package and f"license of {package}")))
            return (package or place.path, _name(line.name), "license", said)


def _text(check: str, line: _Finding) -> CheckText:
    title, description, remediation, references = "", "", "", tuple[str, ...]()
    match line:
        case Vulnerability():
            title, description, references = line.title, line.description, _links(line.url)
        case Misconfiguration():
            title, description, references = line.title, line.description, _links(line.url)
            remediation = line.resolution
        case Secret():
            title = line.title or f"A secret ({line.rule})"
            description = "A secret is written into the repository."
            remediation = "Withdraw it where it was issued, then take it out of the repository's history."
        case License():
            title = f"{line.name} ({line.category or 'license'})"
            description = "A package of this license asks for something in return."
    return CheckText(
        check=check,
        title=_prose(title, MAX_NAME),
        description=_prose(description, MAX_TEXT),
        remediation=_prose(remediation, MAX_TEXT),
        references=references,
    )


def _component(line: Package, path: str) -> Component:
    return Component(
        type=_name(line.type, MAX_TAG),
        name=_name(line.name),
        version=_name(line.version, MAX_TAG * 2),
        purl=redact(safe_purl(line.purl)),
        path=path,
        licenses=tuple(sorted({_name(each, MAX_TAG) for each in line.licenses[:MAX_LICENSES]} - {""})),
        direct=line.direct,
    )


def _shown_path(path: str) -> str:
    """A path with nothing hidden in it: its hidden characters are evidence, and are spelled out."""
    return visible(redact(path), MAX_PATH)


def _name(text: str, limit: int = MAX_NAME) -> str:
    return clean(redact(text), limit)


def _prose(text: str, limit: int) -> str:
    # Twice as much as is kept: what is dropped from its begin makes room for what follows.
    return clean(redact(text[: 2 * limit]), limit)


def _links(url: str) -> tuple[str, ...]:
    """References that may become links: https, and nothing hidden or signed in them."""
    return (url,) if url.startswith("https://") and url == redact(clean(url, MAX_PATH)) else ()
