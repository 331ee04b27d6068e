"""A small database that the real Trivy accepts, in the layout of trivy-db's version 2.

Buckets: `vulnerability` (id → what is known of it), `data-source` (a source's bucket → who that is), and a
bucket a source (`npm::…` → package → id → which versions).  Beside it, `metadata.json` tells how old it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.scanners import bolt

SCHEMA = 2
SOURCE = "GitHub Security Advisory"
SEVERITIES = ("UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL")


@dataclass(frozen=True)
class Advisory:
    id: str
    package: str
    vulnerable: str
    """Of semantic versions: `<4.17.5`."""
    fixed: str
    severity: str
    title: str
    ecosystem: str = "npm"

    @property
    def bucket(self) -> str:
        return f"{self.ecosystem}::{SOURCE} {self.ecosystem}"


LODASH = (
    Advisory(
        "CVE-2018-3721", "lodash", "<4.17.5", "4.17.5", "MEDIUM", "lodash: prototype pollution in utilities"
    ),
    Advisory(
        "CVE-2019-10744",
        "lodash",
        "<4.17.12",
        "4.17.12",
        "CRITICAL",
        "lodash: prototype pollution by defaults",
    ),
)
"""What is known of the package that the inlet plants, and the sample repository uses."""
DJANGO = Advisory(
    "CVE-2019-14234",
    "django",
    "<2.2.4",
    "2.2.4",
    "CRITICAL",
    "Django: SQL injection by keys",
    ecosystem="pip",
)
ADVISORIES = (*LODASH, DJANGO)


def write_cache(
    folder: Path, *, advisories: Sequence[Advisory] = ADVISORIES, age: timedelta = timedelta(hours=1)
) -> Path:
    """A cache of Trivy's with this database, made so long ago; `folder`, for GLOVEBOX_TRIVY_CACHE."""
    place = folder / "db"
    place.mkdir(parents=True)
    bolt.write(place / "trivy.db", _buckets(advisories))
    made = datetime.now(UTC) - age
    times = {"UpdatedAt": made, "NextUpdate": made + timedelta(days=1), "DownloadedAt": made}
    metadata = {"Version": SCHEMA, **{name: time.isoformat() for name, time in times.items()}}
    (place / "metadata.json").write_text(json.dumps(metadata))
    return folder


def _buckets(advisories: Sequence[Advisory]) -> bolt.Bucket:
    sources: dict[str, dict[str, dict[str, bytes]]] = {}
    for each in advisories:
        versions = {"VulnerableVersions": [each.vulnerable], "PatchedVersions": [each.fixed]}
        packages = sources.setdefault(each.bucket, {})
        packages.setdefault(each.package, {})[each.id] = _json(versions)
    known = {each.id: _json(_known(each)) for each in advisories}
    told = {each.bucket: _json(_source(each)) for each in advisories}
    return {"vulnerability": known, "data-source": told, **sources}


def _known(advisory: Advisory) -> dict[str, object]:
    return {
        "Title": advisory.title,
        "Description": f"Versions of {advisory.package} {advisory.vulnerable} are vulnerable.",
        "Severity": advisory.severity,
        "VendorSeverity": {"ghsa": SEVERITIES.index(advisory.severity)},
        "References": [f"https://example.com/advisories/{advisory.id}"],
    }


def _source(advisory: Advisory) -> dict[str, object]:
    name = f"{SOURCE} {advisory.ecosystem}"
    return {"ID": "ghsa", "Name": name, "URL": "https://example.com/advisories"}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
