"""Reports as Trivy, TruffleHog and Kingfisher write them, made here from their schemas: no tool is needed."""

from __future__ import annotations

import json
from collections.abc import Iterable

TREE = "/glovebox/in/tree"
KEY = "0123456789abcdef" * 4
"""A repository's key for fingerprints."""

Json = dict[str, object]


def vulnerability(**changes: object) -> Json:
    return {
        "VulnerabilityID": "CVE-2019-10744",
        "PkgID": "lodash@4.17.4",
        "PkgName": "lodash",
        "PkgIdentifier": {"PURL": "pkg:npm/lodash@4.17.4", "UID": "d48a7a9e526fdbd7"},
        "InstalledVersion": "4.17.4",
        "FixedVersion": "4.17.12",
        "Status": "fixed",
        "SeveritySource": "ghsa",
        "PrimaryURL": "https://avd.aquasec.com/nvd/cve-2019-10744",
        "Title": "nodejs-lodash: prototype pollution",
        "Description": "Versions before 4.17.12\nare open to prototype pollution.",
        "Severity": "CRITICAL",
        "CVSS": {"nvd": {"V3Score": 9.1}},
        "References": ["https://example.com/?a=1"],
        **changes,
    }


def misconfiguration(**changes: object) -> Json:
    code = {"Lines": [{"Number": 2, "Content": "USER root", "Highlighted": "\x1b[38;5;64mUSER\x1b[0m root"}]}
    cause = {"Resource": "", "Provider": "Dockerfile", "StartLine": 2, "EndLine": 2, "Code": code}
    return {
        "Type": "Dockerfile Security Check",
        "ID": "DS-0002",
        "Title": "Image user should not be 'root'",
        "Description": "Running as root is a risk.",
        "Message": "Last USER command in Dockerfile should not be 'root'",
        "Resolution": "Add 'USER <non root user name>'",
        "Severity": "HIGH",
        "PrimaryURL": "https://avd.aquasec.com/misconfig/ds-0002",
        "Status": "FAIL",
        "CauseMetadata": cause,
        **changes,
    }


def trivy_secret(**changes: object) -> Json:
    return {
        "RuleID": "private-key",
        "Category": "AsymmetricPrivateKey",
        "Severity": "HIGH",
        "Title": "Asymmetric Private Key",
        "StartLine": 1,
        "EndLine": 1,
        "Code": {"Lines": [{"Number": 1, "Content": "neighbour=plain-secret-next-door"}]},
        "Match": "----BEGIN PRIVATE KEY-----*******-----END PRIVATE",
        **changes,
    }


def license_(**changes: object) -> Json:
    return {
        "Severity": "HIGH",
        "Category": "restricted",
        "PkgName": "left-pad",
        "FilePath": "",
        "Name": "GPL-3.0-only",
        **changes,
    }


def package(**changes: object) -> Json:
    return {
        "ID": "lodash@4.17.4",
        "Name": "lodash",
        "Identifier": {"PURL": "pkg:npm/lodash@4.17.4"},
        "Version": "4.17.4",
        "Licenses": ["MIT"],
        "Relationship": "direct",
        **changes,
    }


def result(target: str, type_: str = "npm", **arrays: object) -> Json:
    return {"Target": target, "Class": "lang-pkgs", "Type": type_, **arrays}


def trivy(*results: object, **changes: object) -> bytes:
    """Indented, as Trivy writes it."""
    head = {"SchemaVersion": 2, "Trivy": {"Version": "0.76.0"}, "ArtifactName": TREE}
    return json.dumps({**head, "Results": list(results), **changes}, indent=2).encode()


def hog(raw: str = "ghp_1B4a2e77838347a7E420ce178F2E7c6912E1", **changes: object) -> Json:
    """A line of TruffleHog's."""
    path = changes.pop("path", f"{TREE}/repository/src/a.py")
    return {
        "SourceMetadata": {"Data": {"Filesystem": {"file": path, "line": 4}}},
        "SourceType": 15,
        "SourceName": "trufflehog - filesystem",
        "DetectorType": 8,
        "DetectorName": "Github",
        "DetectorDescription": "GitHub is a platform for version control.",
        "DecoderName": "PLAIN",
        "Verified": False,
        "Raw": raw,
        "RawV2": "",
        "Redacted": raw[:8],
        "ExtraData": {"rotation_guide": "https://example.com/", "seen": raw},
        "StructuredData": None,
        **changes,
    }


def trufflehog(lines: Iterable[object]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


def fished(snippet: str = "ghp_1B4a2e77838347a7E420ce178F2E7c6912E1", **changes: object) -> Json:
    """A finding of Kingfisher's."""
    rule = {"title": "GITHUB-PAT => [X]", "name": "github-pat", "id": "betterleaks.github-pat"}
    rule["description"] = "Uncovered a GitHub token."
    finding = {
        "snippet": snippet,
        "fingerprint": "10187475744736656818",
        "confidence": "high",
        "validation": {"outcome": "not_attempted", "status": "Not Attempted", "response": snippet},
        "language": "Python",
        "line": 4,
        "path": f"{TREE}/repository/src/a.py",
        "validate_command": f"kingfisher validate --rule 'betterleaks.github-pat' '{snippet}'",
        **changes,
    }
    return {"rule": {**rule, "id": finding.pop("rule", rule["id"])}, "finding": finding}


def kingfisher(*findings: object) -> bytes:
    """The report, and behind it the sums."""
    report = {"findings": list(findings), "audit": {}, "metadata": {"target": TREE}}
    return json.dumps(report).encode() + b"\n" + json.dumps({"findings": len(findings)}).encode() + b"\n"
