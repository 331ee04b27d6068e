"""A repository's findings as SARIF 2.1.0, as code scanning takes them in: one run for each service.

Rules and results are those of OASIS's standard; limits and what must be there are GitHub's
(https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from glovebox.findings.export import moment
from glovebox.findings.model import CheckText, Finding, Place, Severity, State
from glovebox.findings.services import (
    KINGFISHER,
    SERVICES,
    TRIVY_LICENSE,
    TRIVY_MISCONFIGURATION,
    TRIVY_SECRET,
    TRIVY_VULNERABILITY,
    TRUFFLEHOG,
    scanner_of,
)
from glovebox.scans.repositories import RepositoryScanner
from glovebox.text import clean

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MAX_RESULTS: Final = 25_000
"""Of a run, GitHub's limit; it shows the gravest 5,000 of them."""
MAX_PLACES: Final = 10
MAX_TITLE: Final = 1_024
_NAMES: Final = {
    TRIVY_VULNERABILITY: "Trivy vulnerabilities",
    TRIVY_MISCONFIGURATION: "Trivy misconfigurations",
    TRIVY_SECRET: "Trivy secrets",
    TRIVY_LICENSE: "Trivy licenses",
    TRUFFLEHOG: "TruffleHog",
    KINGFISHER: "Kingfisher",
}
_PAGES: Final[Mapping[RepositoryScanner | None, str]] = {
    "trivy": "https://trivy.dev/",
    "trufflehog": "https://github.com/trufflesecurity/trufflehog",
    "kingfisher": "https://github.com/mongodb/kingfisher",
}
_TAGS: Final = {
    TRIVY_VULNERABILITY: "vulnerability",
    TRIVY_MISCONFIGURATION: "misconfiguration",
    TRIVY_LICENSE: "license",
}
_LEVELS: Final = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning"}
_SCORES: Final = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.0",
}
"""In the middle of what GitHub shows under these names; what is informational has none."""
_BASELINE: Final = {State.NEW: "new", State.REOPENED: "new", State.RESOLVED: "absent"}
_ROOT: Final = "%SRCROOT%"
_MARKS: Final = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"})
"""Links and placeholders of SARIF's messages (3.11.5 and 3.11.6)."""

_Json = dict[str, object]


def sarif(
    findings: Iterable[Finding],
    repository: str,
    commits: Mapping[str, str],
    only: Collection[str] | None = None,
) -> Iterator[bytes]:
    """One log.  `commits`: what each scanner looked at last; the findings are one repository's.

    What those scanners look for (`only`: of that) has a run also where nothing was found: code scanning takes
    in no log without runs, and closes its alerts by a run that has them no more.
    """
    looked_for = (service for scanner, of in SERVICES.items() if scanner in commits for service in of)
    services: dict[str, list[Finding]] = {
        service: [] for service in looked_for if only is None or service in only
    }
    omitted: dict[str, int] = {}
    for finding in findings:
        among = services.setdefault(finding.service, [])
        if len(among) < MAX_RESULTS:
            among.append(finding)
        else:
            omitted[finding.service] = omitted.get(finding.service, 0) + 1
    runs = (
        _run(service, found, repository, commits.get(scanner_of(service) or "", ""), omitted.get(service, 0))
        for service, found in sorted(services.items())
    )
    yield f'{{"$schema":"{SCHEMA}","version":"2.1.0","runs":['.encode()
    before = b""
    for run in runs:
        yield before + msgspec.json.encode(run)
        before = b",\n"
    yield b"]}\n"


def _run(service: str, findings: list[Finding], repository: str, commit: str, omitted: int) -> _Json:
    gravest: dict[str, Finding] = {}
    for finding in findings:
        known = gravest.get(finding.check)
        if known is None or finding.severity > known.severity:
            gravest[finding.check] = finding
    places = {check: index for index, check in enumerate(gravest)}
    provenance: _Json = {"repositoryUri": f"https://{repository}"}
    if commit:
        provenance["revisionId"] = commit
    driver: _Json = {
        "name": _NAMES.get(service, service),
        "rules": [_rule(each) for each in gravest.values()],
    }
    page = _PAGES.get(scanner_of(service))
    if page:
        driver["informationUri"] = page
    run: _Json = {
        "tool": {"driver": driver},
        # What tells the runs of one file apart.
        "automationDetails": {"id": f"glovebox/{service}/"},
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The repository's root."}}},
        "versionControlProvenance": [provenance],
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, places[each.check]) for each in findings],
    }
    if omitted:
        said = f"{omitted:,} less severe findings are left out: a run has at most {MAX_RESULTS:,}."
        note = {"level": "warning", "message": {"text": said}}
        run["invocations"] = [{"executionSuccessful": True, "toolExecutionNotifications": [note]}]
    return run


def _rule(finding: Finding) -> _Json:
    text = finding.text or CheckText(check=finding.check)
    title = text.title or finding.check
    help_text = "\n\n".join(filter(None, (text.description, text.remediation, *text.references)))
    properties: _Json = {"tags": ["security", _TAGS.get(finding.service, "secret")]}
    if finding.severity in _SCORES:
        properties["security-severity"] = _SCORES[finding.severity]
    rule: _Json = {
        "id": finding.check,
        "shortDescription": {"text": _message(clean(title, MAX_TITLE // 2))},
        "fullDescription": {"text": _message(clean(text.description or title, MAX_TITLE // 2))},
        "help": {"text": _message(help_text or title)},
        "defaultConfiguration": {"level": _level(finding)},
        "properties": properties,
    }
    if text.references:
        rule["helpUri"] = quote(text.references[0], safe=":/?#[]@!$&'()*+,;=%-._~")
    return rule


def _result(finding: Finding, rule: int) -> _Json:
    title = finding.text.title if finding.text and finding.text.title else finding.check
    accepted = finding.acceptance
    justified = (
        {"kind": "external", "status": "accepted", "justification": _message(accepted.reason)}
        if accepted is not None and finding.state is State.ACCEPTED
        else None
    )
    return {
        "ruleId": finding.check,
        "ruleIndex": rule,
        "level": _level(finding),
        "message": {"text": _message(": ".join(filter(None, (title, finding.name, finding.detail))))},
        "locations": [_location(place) for place in (finding.places or (Place("."),))[:1]],
        "relatedLocations": [
            {"id": index, **_location(place)}
            for index, place in enumerate(finding.places[1:MAX_PLACES], start=1)
        ],
        # The first is what code scanning goes by, in the form that it makes itself.
        "partialFingerprints": {
            "primaryLocationLineHash": f"{finding.id[:16]}:1",
            "gloveboxFinding/v1": finding.id,
        },
        "baselineState": _BASELINE.get(finding.state, "unchanged"),
        # Where one result of a run says whether it is suppressed, each must (3.27.23).
        "suppressions": [] if justified is None else [justified],
        "properties": {"glovebox": {"state": finding.state.value, "since": moment(finding.since)}},
    }


def _location(place: Place) -> _Json:
    """Code scanning shows what has a line; a file as a whole is shown at its begin."""
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(place.path.lstrip("/") or ".", safe="/"), "uriBaseId": _ROOT},
            "region": {"startLine": max(place.line, 1)},
        }
    }


def _level(finding: Finding) -> str:
    return _LEVELS.get(finding.severity, "note")


def _message(text: str) -> str:
    return text.translate(_MARKS)
