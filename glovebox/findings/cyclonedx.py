"""A repository's packages and their known vulnerabilities as CycloneDX 1.6 (ECMA-424)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from glovebox.dates import iso
from glovebox.findings.model import Finding, Severity, State
from glovebox.findings.packages import Component, reference
from glovebox.findings.services import TRIVY_VULNERABILITY
from glovebox.scans.purl import without_version

_SPACE: Final = uuid.UUID("6d0b1a0e-52a1-4f4e-9d0e-6b1f3c5a7e21")
"""Of the names that serial numbers are made of."""
_SEVERITIES: Final = {Severity.INFORMATIONAL: "info"}
_STATES: Final = {State.RESOLVED: "resolved"}

_Json = dict[str, object]


def cyclonedx(
    components: Sequence[Component], findings: Iterable[Finding], repository: str, commit: str, *, now: int
) -> Iterator[bytes]:
    """One bill of materials.  Of `findings` the vulnerabilities count; `now`: epoch seconds."""
    of_packages = [each for each in findings if each.service == TRIVY_VULNERABILITY]
    listed = [*components, *_unlisted(components, of_packages)]
    references: dict[str, dict[str, str]] = {}
    for component in listed:
        versions = references.setdefault(without_version(component.purl) or component.name, {})
        versions[reference(component.purl, component.name, component.version)] = _ref(component)
    serial = uuid.uuid5(_SPACE, f"{repository}\0{commit}\0{now}")
    yield msgspec.json.encode(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{serial}",
            "version": 1,
            "metadata": {
                "timestamp": iso(datetime.fromtimestamp(now, UTC)),
                "tools": {"components": [{"type": "application", "name": name} for name in _TOOLS]},
                "component": _subject(repository, commit),
            },
            "components": [_component(each) for each in listed],
            "vulnerabilities": [_vulnerability(each, references) for each in of_packages],
        }
    )
    yield b"\n"


_TOOLS: Final = ("Glovebox", "Trivy")


def _subject(repository: str, commit: str) -> _Json:
    address = f"https://{repository}"
    subject: _Json = {
        "type": "application",
        "bom-ref": f"repo:{repository}",
        "name": repository,
        "externalReferences": [{"type": "vcs", "url": address}],
    }
    return {**subject, "version": commit} if commit else subject


def _unlisted(components: Sequence[Component], findings: Iterable[Finding]) -> list[Component]:
    """Packages with vulnerabilities that are beyond those kept."""
    known = {without_version(each.purl) or each.name for each in components}
    made: dict[str, Component] = {}
    for finding in findings:
        if finding.resource in known or finding.resource in made:
            continue
        name, _, version = finding.name.rpartition("@")
        is_purl = finding.resource.startswith("pkg:")
        made[finding.resource] = Component(
            type="",
            name=name or finding.resource,
            version=version,
            purl=finding.resource if is_purl else "",
            path=finding.places[0].path if finding.places else "",
        )
    return list(made.values())


def _ref(component: Component) -> str:
    return component.purl or f"{component.type}:{component.name}@{component.version}"


def _component(component: Component) -> _Json:
    made: _Json = {"type": "library", "bom-ref": _ref(component), "name": component.name}
    if component.version:
        made["version"] = component.version
    if component.purl:
        made["purl"] = component.purl
    if component.licenses:
        # By name: whether it is one of SPDX's identifiers only its list could tell.
        made["licenses"] = [{"license": {"name": each}} for each in component.licenses]
    if component.path:
        made["evidence"] = {"occurrences": [{"location": component.path}]}
    return made


def _affected(finding: Finding, versions: dict[str, str]) -> Iterable[str]:
    """The versions that have it; where nobody told which, or the list is of a later scan, each of them."""
    told = [versions[each] for each in finding.packages if each in versions]
    return told or versions.values()


def _vulnerability(finding: Finding, references: dict[str, dict[str, str]]) -> _Json:
    text = finding.text
    severity = _SEVERITIES.get(finding.severity, finding.severity.name.lower())
    made: _Json = {
        "bom-ref": finding.id,
        "id": finding.check,
        "ratings": [{"severity": severity}],
        "affects": [{"ref": each} for each in _affected(finding, references.get(finding.resource, {}))],
    }
    if text is not None and (text.description or text.title):
        made["description"] = text.description or text.title
    if text is not None and text.remediation:
        made["recommendation"] = text.remediation
    if text is not None and text.references:
        made["advisories"] = [{"url": each} for each in text.references]
    if finding.acceptance is not None and finding.state is State.ACCEPTED:
        made["analysis"] = {"response": ["will_not_fix"], "detail": finding.acceptance.reason}
    elif finding.state in _STATES:
        made["analysis"] = {"state": _STATES[finding.state]}
    return made
