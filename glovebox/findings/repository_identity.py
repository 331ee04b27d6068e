"""What makes a thing in a repository the same from scan to scan, and the name of what found it."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from glovebox.findings.services import TRIVY_SECRET
from glovebox.scans.purl import safe_purl, without_version
from glovebox.scans.redaction import redact
from glovebox.scans.repositories import RepositoryScanner
from glovebox.scans.repository_lines import License, Misconfiguration, Secret, Vulnerability

MAX_CHECK: Final = 64
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")

Thing = Vulnerability | Misconfiguration | Secret | License
"""A line that may be a finding."""


def identity_of(line: Thing, path: str, service: str) -> tuple[str, ...]:
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


def rank(line: Thing) -> tuple[object, ...]:
    """Of the lines of one finding the least is shown."""
    match line:
        case Vulnerability():
            return (line.path, line.installed, line.fixed)
        case Misconfiguration():
            return (line.path, line.line, line.end_line)
        case Secret():
            return (line.path, line.line)
        case License():
            return (line.path, line.category)


def check_of(line: Thing, scanner: RepositoryScanner) -> str:
    """The name of what found it: a CVE, a check's id, a rule, a license; at most `MAX_CHECK` characters."""
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
