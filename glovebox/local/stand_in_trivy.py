"""A small scanner in Trivy's place: four kinds of its findings, its command line, its report, its exit codes.

    trivy fs … -f json TREE
    trivy version -f json …

Each finding bears the name of Trivy's own and is judged alike; of its thousands of others nothing is said.
The report and `version` name it as what it is.  An option that Trivy would take and this does not know is an
error: what our tasks start is to be understood wholly.  As Trivy does, it shows the lines round a secret.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

NAME = "Glovebox stand-in for Trivy"
VERSION = "0.76.0+stand-in"
"""The number is that of the report's form."""
FAILED = 1
SCANNERS = "vuln,secret,misconfig,license"
_SETTINGS = {"--secret-config": "", "--ignorefile": "", "--cache-backend": "memory", "--timeout": "25m"}
_FLAGS = (
    "--list-all-pkgs",
    "--no-progress",
    "--offline-scan",
    "--skip-db-update",
    "--skip-java-db-update",
    "--skip-check-update",
    "--skip-vex-repo-update",
    "--skip-version-check",
    "--disable-telemetry",
)
"""Each is given, or it is an error: what Trivy would do without one, this cannot."""
LARGEST = 10 << 20
"""Bytes of a file that is looked into."""
CONTEXT = 2
"""Lines before and after a secret that are shown."""

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Advisory:
    package: str
    id: str
    fixed: str
    severity: str
    title: str


ADVISORIES = (
    Advisory("lodash", "CVE-2018-3721", "4.17.5", "MEDIUM", "lodash: Prototype pollution in utilities"),
    Advisory(
        "lodash", "CVE-2019-10744", "4.17.12", "CRITICAL", "lodash: Prototype pollution in defaultsDeep"
    ),
)
RESTRICTED = ("GPL-", "AGPL-")


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    category: str
    severity: str
    title: str
    pattern: re.Pattern[str]


RULES = (
    Rule(
        "private-key",
        "AsymmetricPrivateKey",
        "HIGH",
        "Asymmetric Private Key",
        re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*([A-Za-z0-9+/=\s]+?)\s*-----END"),
    ),
    Rule("aws-access-key-id", "AWS", "CRITICAL", "AWS Access Key ID", re.compile(r"\b(AKIA[A-Z2-7]{16})\b")),
)


def _version_under(version: str, bound: str) -> bool:
    def parts(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"[0-9]+", text)[:3])

    return parts(version) < parts(bound)


# ---------------------------------------------------------------- what is looked at


def _files(tree: Path) -> Iterator[tuple[str, str]]:
    """Name and text, in order; links are not followed."""
    for folder, folders, names in os.walk(tree):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
                continue
            yield path.relative_to(tree).as_posix(), path.read_text(encoding="utf-8", errors="replace")


def _locked(text: str) -> list[tuple[str, str, str, bool]]:
    """Name, version, license and whether it is wished for, of a package-lock.json of version 2 or 3."""
    try:
        entries = json.loads(text).get("packages", {})
        wished = entries.get("", {}).get("dependencies", {})
        return [
            (name, entry["version"], entry.get("license", ""), name in wished)
            for place, entry in entries.items()
            if (name := place.rpartition("node_modules/")[2])
        ]
    except (ValueError, AttributeError, KeyError, TypeError):
        return []


def _packages(name: str, text: str) -> Iterator[Json]:
    if name.rpartition("/")[2] != "package-lock.json":
        return
    locked = _locked(text)
    listed = [
        {
            "ID": f"{package}@{version}",
            "Name": package,
            "Identifier": {"PURL": f"pkg:npm/{package}@{quote(version, safe=':')}"},
            "Version": version,
            "Licenses": [license_] if license_ else [],
            "Relationship": "direct" if direct else "indirect",
            "AnalyzedBy": "npm",
        }
        for package, version, license_, direct in locked
    ]
    vulnerable = [
        {
            "VulnerabilityID": each.id,
            "PkgID": f"{package}@{version}",
            "PkgName": package,
            "PkgIdentifier": {"PURL": f"pkg:npm/{package}@{version}"},
            "InstalledVersion": version,
            "FixedVersion": each.fixed,
            "Status": "fixed",
            "PrimaryURL": f"https://avd.aquasec.com/nvd/{each.id.lower()}",
            "Title": each.title,
            "Severity": each.severity,
        }
        for package, version, _, _ in locked
        for each in ADVISORIES
        if each.package == package and _version_under(version, each.fixed)
    ]
    yield {
        "Target": name,
        "Class": "lang-pkgs",
        "Type": "npm",
        "Packages": listed,
        "Vulnerabilities": vulnerable,
    }
    licenses = [_license(name, package, license_) for package, _, license_, _ in locked if license_]
    if licenses:
        yield {"Target": name, "Class": "license", "Licenses": licenses}


def _license(name: str, package: str, license_: str) -> Json:
    restricted = license_.startswith(RESTRICTED)
    return {
        "Severity": "HIGH" if restricted else "LOW",
        "Category": "restricted" if restricted else "notice",
        "PkgName": package,
        "FilePath": name,
        "Name": license_,
        "Text": "",
        "Confidence": 1,
        "Link": "",
    }


def _dockerfile(name: str, text: str) -> Iterator[Json]:
    if name.rpartition("/")[2] != "Dockerfile":
        return
    lines = text.splitlines()
    users = [number for number, line in enumerate(lines, 1) if line.upper().startswith("USER ")]
    number = users[-1] if users else 0
    if users and lines[number - 1].split()[1].partition(":")[0] not in ("root", "0"):
        return
    if number > 1 and "trivy:ignore:DS-0002" in lines[number - 2]:
        return
    cause: Json = {"Provider": "Dockerfile", "Service": "general"}
    if number:
        cause |= {"StartLine": number, "EndLine": number, "Code": _code(lines, number, number)}
    failure = {
        "Type": "Dockerfile Security Check",
        "ID": "DS-0002",
        "Title": "Image user should not be 'root'",
        "Description": "A process that breaks out of its container is root outside of it, too.",
        "Message": "Last USER command in Dockerfile should not be 'root'"
        if users
        else "Specify at least 1 USER command in Dockerfile with non-root user as argument",
        "Resolution": "Add 'USER <non root user name>' line to the Dockerfile",
        "Severity": "HIGH",
        "PrimaryURL": "https://avd.aquasec.com/misconfig/ds-0002",
        "Status": "FAIL",
        "CauseMetadata": cause,
    }
    yield {"Target": name, "Class": "config", "Type": "dockerfile", "Misconfigurations": [failure]}


def _directories(name: str, text: str) -> Iterator[Json]:
    """As Trivy's, its message quotes the file."""
    lines = text.splitlines()
    failures = [
        {
            "Type": "Dockerfile Security Check",
            "ID": "DS-0013",
            "Title": "'RUN cd ...' to change directory",
            "Description": "A changed folder is that of one instruction alone.",
            "Message": f"RUN should not be used to change directory: '{line[4:]}'",
            "Resolution": "Use WORKDIR",
            "Severity": "MEDIUM",
            "PrimaryURL": "https://avd.aquasec.com/misconfig/ds-0013",
            "Status": "FAIL",
            "CauseMetadata": {
                "Provider": "Dockerfile",
                "StartLine": number,
                "EndLine": number,
                "Code": _code(lines, number, number),
            },
        }
        for number, line in enumerate(lines, 1)
        if line.startswith("RUN cd ")
    ]
    if failures and name.rpartition("/")[2] == "Dockerfile":
        yield {"Target": name, "Class": "config", "Type": "dockerfile", "Misconfigurations": failures}


def _keys(name: str, text: str) -> Iterator[Json]:
    """Keys of KMS that are never new; as Trivy's, names of resources have what they are made for."""
    made = [
        f'{kind}.{label}["{key}"]'
        for kind, label, keys in re.findall(
            r'resource "(aws_kms_key)" "(\w+)" \{\s*for_each = toset\(\[([^\]]*)\]\)\s*\}', text
        )
        for key in re.findall(r'"([^"]*)"', keys)
    ]
    failures = [
        {
            "Type": "Terraform Security Check",
            "ID": "AWS-0065",
            "Title": "A KMS key is not configured to auto-rotate.",
            "Message": "Key does not have rotation enabled.",
            "Severity": "MEDIUM",
            "PrimaryURL": "https://avd.aquasec.com/misconfig/aws-0065",
            "Status": "FAIL",
            "CauseMetadata": {"Resource": resource, "Provider": "AWS", "StartLine": 1, "EndLine": 3},
        }
        for resource in made
    ]
    if failures and name.endswith(".tf"):
        yield {"Target": name, "Class": "config", "Type": "terraform", "Misconfigurations": failures}


def _secrets(name: str, text: str) -> Iterator[Json]:
    found: list[Json] = []
    for rule in RULES:
        for match in rule.pattern.finditer(text):
            first = text.count("\n", 0, match.start(1)) + 1
            last = text.count("\n", 0, match.end(1)) + 1
            masked = text[: match.start(1)] + re.sub(r"\S", "*", match[1]) + text[match.end(1) :]
            found.append(
                {
                    "RuleID": rule.id,
                    "Category": rule.category,
                    "Severity": rule.severity,
                    "Title": rule.title,
                    "StartLine": first,
                    "EndLine": last,
                    "Code": _code(masked.splitlines(), first, last),
                    "Match": masked.splitlines()[first - 1],
                }
            )
    if found:
        yield {"Target": name, "Class": "secret", "Secrets": found}


def _code(lines: Sequence[str], first: int, last: int) -> Json:
    shown = range(max(1, first - CONTEXT), min(len(lines), last + CONTEXT) + 1)
    return {
        "Lines": [
            {
                "Number": number,
                "Content": lines[number - 1],
                "IsCause": first <= number <= last,
                "Highlighted": f"\x1b[38;5;64m{lines[number - 1]}\x1b[0m",
            }
            for number in shown
        ]
    }


# ---------------------------------------------------------------- the command line


def report_of(tree: Path) -> Json:
    results: list[Json] = []
    for name, text in _files(tree):
        for look in (_packages, _dockerfile, _directories, _keys, _secrets):
            results += look(name, text)
    return {
        "SchemaVersion": 2,
        "Trivy": {"Version": VERSION, "Name": NAME},
        "CreatedAt": datetime.now(UTC).isoformat(),
        "ArtifactName": str(tree),
        "ArtifactType": "filesystem",
        "Results": results,
    }


def version() -> Json:
    """What it knows stands in these sources, so its database is as old as the question."""
    now = datetime.now(UTC)
    return {
        "Version": VERSION,
        "Name": NAME,
        "VulnerabilityDB": {
            "Version": 2,
            "UpdatedAt": now.isoformat(),
            "NextUpdate": (now + timedelta(days=1)).isoformat(),
            "DownloadedAt": now.isoformat(),
        },
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trivy", description=NAME, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    told = commands.add_parser("version", allow_abbrev=False)
    scan = commands.add_parser("fs", allow_abbrev=False)
    for each in (told, scan):
        each.add_argument("-f", dest="format", choices=("json",), required=True)
        each.add_argument("-c", dest="config", choices=("",), required=True)
        each.add_argument("--cache-dir", required=True)
    scan.add_argument("--scanners", choices=(SCANNERS,), required=True)
    for option, value in _SETTINGS.items():
        scan.add_argument(option, choices=(value,), required=True)
    for flag in _FLAGS:
        scan.add_argument(flag, action="store_true", required=True)
    scan.add_argument("tree", type=Path)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    if args.command == "version":
        json.dump(version(), sys.stdout)
        return 0
    if not args.tree.is_dir():
        sys.stderr.write("FATAL\tFatal error\tno such folder\n")
        return FAILED
    json.dump(report_of(args.tree), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
