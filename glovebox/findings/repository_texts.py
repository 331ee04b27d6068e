"""What a line about a repository may say to people: cleaned, redacted and cut."""

from __future__ import annotations

from typing import Final

import msgspec

from glovebox.findings.model import CheckText, Place
from glovebox.findings.packages import Component, reference
from glovebox.findings.repository_identity import Thing
from glovebox.scans.purl import safe_purl, without_version
from glovebox.scans.redaction import redact
from glovebox.scans.repository_lines import License, Misconfiguration, Package, Secret, Vulnerability
from glovebox.text import clean, visible

MAX_NAME: Final = 256
MAX_PATH: Final = 1_024
"""Characters that are kept of a path; PATH_MAX is four times that."""
MAX_DETAIL: Final = 600
MAX_TEXT: Final = 1_000
"""Of a description: the paragraph that people read; what it refers to has the rest."""
MAX_LICENSES: Final = 5
MAX_TAG: Final = 64


def slim(line: Thing, path: str) -> Thing:
    """Without what is told of the check and not of the finding, so that a hundred thousand fit."""
    match line:
        case Vulnerability():
            return msgspec.structs.replace(line, path=path, title="", description="", url="")
        case Misconfiguration():
            return msgspec.structs.replace(line, path=path, title="", description="", resolution="", url="")
        case Secret():
            return msgspec.structs.replace(line, path=path, title=name(line.title))
        case License():
            return msgspec.structs.replace(line, path=path)


def shown(line: Thing, place: Place) -> tuple[str, str, str, str]:
    """What a person looks for, its name here, its type, and what to say of it."""
    match line:
        case Vulnerability():
            package = name(line.package)
            versions = " → ".join(filter(None, (name(line.installed), name(line.fixed))))
            said = versions if line.fixed else f"{versions}, {name(line.status) or 'no fix'}"
            resource = without_version(safe_purl(line.purl)) or package
            return (resource, name(f"{line.package}@{line.installed}"), "vulnerability", said)
        case Misconfiguration():
            return (place.path, str(place), name(line.type) or "misconfiguration", name(line.resource))
        case Secret():
            return (place.path, str(place), "secret", line.title)
        case License():
            package = name(line.package)
            said = " ".join(filter(None, (name(line.category), package and f"license of {package}")))
            return (package or place.path, name(line.name), "license", said)


def text_of(check: str, line: Thing) -> CheckText:
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
        title=prose(title, MAX_NAME),
        description=prose(description, MAX_TEXT),
        remediation=prose(remediation, MAX_TEXT),
        references=references,
    )


def component_of(line: Package, path: str) -> Component:
    return Component(
        type=name(line.type, MAX_TAG),
        name=name(line.name),
        version=name(line.version, MAX_TAG * 2),
        purl=safe_purl(line.purl),
        path=path,
        licenses=tuple(sorted({name(each, MAX_TAG) for each in line.licenses[:MAX_LICENSES]} - {""})),
        direct=line.direct,
    )


def affected(line: Thing) -> set[str]:
    """The package that a line is about, as a bill of materials names it."""
    if not isinstance(line, Vulnerability):
        return set()
    return {reference(safe_purl(line.purl), name(line.package), name(line.installed, MAX_TAG * 2))}


def shown_path(path: str) -> str:
    """A path with nothing hidden in it: its hidden characters are evidence, and are spelled out."""
    return visible(redact(path), MAX_PATH)


def name(text: str, limit: int = MAX_NAME) -> str:
    return clean(redact(text), limit)


def prose(text: str, limit: int) -> str:
    # Twice as much as is kept: what is dropped from its begin makes room for what follows.
    return clean(redact(text[: 2 * limit]), limit)


def _links(url: str) -> tuple[str, ...]:
    """References that may become links: https, and nothing hidden or signed in them."""
    return (url,) if url.startswith("https://") and url == redact(clean(url, MAX_PATH)) else ()
