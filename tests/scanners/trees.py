"""Trees with planted faults, and everything by which a repository might tell a scanner to look away."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from containers.inlet.repository import plant
from glovebox.local.sample_repositories import PlantedSecrets, fetched, keys_of, publishing
from glovebox.scans.repositories import CANARY, SOURCE

KEYS = {
    b"deploy/id_ec.pem",
    b"-n.pem",
    b"--config=own.pem",
    b"two\nlines.pem",
    b"\x1b[31mred.pem",
    b"not-\xff-text.pem",
    b"dev/own.pem",
    b"proc/own.pem",
    b".hidden/own.pem",
    b".git/own.pem",
}
"""Where private keys lie: names that are options or break lines and terminals, and places often left out."""


def _lock(planted: PlantedSecrets) -> str:
    packages = {
        "": {"name": "shop", "dependencies": {"lodash": "4.17.4", "copyleft": "1.0.0"}},
        "node_modules/lodash": {"version": "4.17.4", "license": "MIT"},
        "node_modules/copyleft": {"version": "1.0.0", "license": "GPL-3.0-only"},
        "node_modules/own": {"version": fetched(planted), "license": "MIT"},
    }
    return json.dumps({"name": "shop", "lockfileVersion": 3, "packages": packages})


def faults(planted: PlantedSecrets) -> dict[bytes, str]:
    """The files of a repository with a fault each."""
    root = "FROM docker.io/library/debian:13\nUSER root\n"
    return {
        **dict.fromkeys(KEYS, planted.private_key),
        b"Dockerfile": root,
        b"dev/Dockerfile": root + publishing(planted),
        b"package-lock.json": _lock(planted),
        b"keys.tf": keys_of(planted),
        b"requirements.txt": "Django==2.2.0\n",
        b"main.tf": 'resource "aws_s3_bucket" "open" {\n  bucket = "open"\n}\n',
        b"settings.py": (
            f'aws_access_key_id = "{planted.access_key_id}"\n'
            f'aws_secret_access_key = "{planted.secret_access_key}"\n'
            f'github_token = "{planted.token}"\n'
        ),
    }


EVERYTHING = "*\n**\n.*\n"
RULES = "[private-key, aws-access-key-id, aws-secret-access-key, github-pat]"
NOBODY = 'title = "Nothing"\n[allowlist]\npaths = [".*"]\n[[rules]]\nid = "none"\nregex = "zzzzzzzz"\n'
REGO = "package trivy\n\ndefault ignore = true\n"
ALL = "\n".join(
    (
        "DS-0002",
        "AVD-DS-0002",
        "CVE-2018-3721",
        "CVE-2019-10744",
        "CVE-2019-14234",
        "private-key",
        "github-pat",
    )
)
VEX = (
    '{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex", "author": "x",'
    ' "timestamp": "2026-01-01T00:00:00Z", "version": 1, "statements": [{"vulnerability": {"name":'
    ' "CVE-2019-10744"}, "products": [{"@id": "pkg:npm/lodash@4.17.4"}], "status": "not_affected",'
    ' "justification": "vulnerable_code_not_present"}]}'
)
STEERING: Mapping[bytes, str] = {
    b"trivy.yaml": "scan:\n  scanners: []\n  skip-dirs: ['**']\nseverity: [UNKNOWN]\nvulnerability:\n"
    "  vex: [.vex/x.json]\n",
    b".trivyignore": ALL,
    b".trivyignore.yaml": "".join(
        f"{kind}:\n" + "".join(f"  - id: {each}\n" for each in ALL.split())
        for kind in ("vulnerabilities", "misconfigurations", "secrets", "licenses")
    ),
    b"trivy-secret.yaml": f"disable-rules: {RULES}\nallow-rules:\n  - id: all\n    path: .*\n",
    b".vex/x.json": VEX,
    b"x.openvex.json": VEX,
    b"policy/ignore.rego": REGO,
    b".trivy/plugins/x/plugin.yaml": "name: x\n",
    b"trivy-ignore.rego": REGO,
    b"terraform.tfvars": 'bucket = "none"\n',
    b".terraformrc": "disable_checkpoint = true\n",
    b".gitleaks.toml": NOBODY,
    b".betterleaks.toml": NOBODY,
    b".gitleaksignore": "deploy/id_ec.pem:private-key:1\nsettings.py:github-pat:3\n",
    b".betterleaksignore": "deploy/id_ec.pem:private-key:1\n",
    b".trufflehogignore": EVERYTHING,
    b".trufflehog.yaml": "detectors: []\nexclude: ['.*']\n",
    b"trufflehog-exclude.txt": EVERYTHING,
    b"kingfisher.yaml": "scan:\n  exclude: ['**']\n  confidence: high\n",
    b".kingfisher.yaml": "scan:\n  exclude: ['**']\n",
    b".kingfisherignore": EVERYTHING,
    b"baseline-file.yaml": "ExactFindings:\n  matches: []\n",
    b".ignore": EVERYTHING,
    b".gitignore": EVERYTHING,
    b".gitattributes": "* linguist-generated linguist-vendored export-ignore binary\n",
    b".git/HEAD": "ref: refs/heads/main\n",
    b".git/config": "[core]\n  repositoryformatversion = 0\n  bare = false\n"
    "  fsmonitor = touch ../../steered\n  hooksPath = hooks\n",
    b".git/info/exclude": EVERYTHING,
    b".git/hooks/post-checkout": "#!/bin/sh\ntouch ../../steered\n",
    b".githooks/pre-commit": "#!/bin/sh\ntouch ../../steered\n",
    b".env": "TRIVY_SKIP_DIRS=**\nTRIVY_SEVERITY=UNKNOWN\nKF_RULE_CACHE_DIR=.\n",
}
"""What the scanners and their like would obey, had they been started here without our options."""
OBEYED: Mapping[str, tuple[bytes, str]] = {
    "trivy": (b"inline/Dockerfile", "FROM docker.io/library/debian:13\n#trivy:ignore:DS-0002\nUSER root\n"),
    "trufflehog": (b"inline/settings.py", 'github_token = "{token}" # trufflehog:ignore\n'),
}
"""Lines that no switch keeps these from obeying: snapshots count them, and the scan tells how many."""
NOT_OBEYED = (b"inline/ignored.py", 'github_token = "{token}" # {word}\n')
WORDS = (
    "kingfisher:ignore",
    "gitleaks:allow",
    "betterleaks:allow",
    "trivy:ignore",
    "nosec",
    "noqa",
    "pragma: allowlist secret",
)


def lay(tree: Path, files: Mapping[bytes, str]) -> None:
    """Files of the repository, with their names as the bytes they are, and the inlet's canary beside it."""
    for name, text in files.items():
        path = tree / SOURCE / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if not (tree / CANARY).exists():
        plant(tree / CANARY)
