"""Repositories that `glovebox up` scans where it is given none: faulty, clean, and one archived in part.

They are written at start-up, with secrets made in that moment: none of them ever opened anything, and none
lies in these sources, where every scanner of secrets (and whoever runs one over us) would have to ignore it.
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

OWNER = "glovebox-samples"
PLANTED, CLEAN, PARTLY = "planted-faults", "clean", "partly-archived"
TEAM = "shop"
"""Whom CODEOWNERS of the first two names."""
KEY_FILE, DOCKERFILE, LOCK_FILE, SETTINGS, TERRAFORM = (
    "deploy/id_ec.pem",
    "Dockerfile",
    "package-lock.json",
    "settings.py",
    "main.tf",
)
COPYLEFT = "copyleft-widget"
"""A package of nobody's with a license that asks for something."""
_BASE32 = string.ascii_uppercase + "234567"
_WORD = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class PlantedSecrets:
    """What must be found, and be nowhere afterwards."""

    private_key: str
    """PEM, SEC1."""
    access_key_id: str
    secret_access_key: str
    token: str
    """As GitHub's personal ones are written."""
    unknown: str
    """Of no form that a scanner knows; what scanners say of its places quotes it."""

    @classmethod
    def made(cls) -> PlantedSecrets:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        return cls(
            private_key=pem.decode(),
            access_key_id="AKIA" + _random(_BASE32, 16),
            secret_access_key=_random(_WORD, 40),
            token="ghp_" + _random(_WORD, 36),
            unknown=_random(_WORD, 24),
        )

    @property
    def values(self) -> tuple[str, ...]:
        """Each by itself; of the key its base64, line by line, which is what somebody could put together."""
        lines = self.private_key.splitlines()[1:-1]
        return (*lines, self.access_key_id, self.secret_access_key, self.token, self.unknown)


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def write_samples(folder: Path) -> tuple[list[Path], PlantedSecrets]:
    """Write all three below `folder`, each a folder of its name; what was planted."""
    planted = PlantedSecrets.made()
    trees = {
        PLANTED: {**_faulty(planted), **HIDING},
        CLEAN: _CLEAN,
        PARTLY: _PARTLY,
    }
    for name, tree in trees.items():
        write_tree(folder / name, tree)
    return [folder / name for name in trees], planted


def write_tree(folder: Path, tree: Mapping[str, str]) -> None:
    for name, text in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def repair(folder: Path) -> None:
    """What the owners of the faulty one do about two of its faults: the key goes, and so does root."""
    (folder / KEY_FILE).unlink()
    (folder / DOCKERFILE).write_text(_CLEAN[DOCKERFILE], encoding="utf-8")


def _faulty(planted: PlantedSecrets) -> dict[str, str]:
    return {
        ".github/CODEOWNERS": _OWNERS,
        DOCKERFILE: (
            "FROM docker.io/library/node:22-alpine\n"
            "USER root\n"
            "COPY . /app\n"
            f"{publishing(planted)}"
            "CMD node /app/shop.js\n"
        ),
        LOCK_FILE: _lock(
            "shop",
            {
                "lodash": ("4.17.4", "MIT"),
                COPYLEFT: ("1.0.0", "GPL-3.0-only"),
                "own": (fetched(planted), "MIT"),
            },
        ),
        TERRAFORM: keys_of(planted),
        KEY_FILE: planted.private_key,
        SETTINGS: (
            f'aws_access_key_id = "{planted.access_key_id}"\n'
            f'aws_secret_access_key = "{planted.secret_access_key}"\n'
            "\n"
            f'github_token = "{planted.token}"\n'
        ),
        "README.md": "# Shop\n\nFull of faults, and planted.\n",
    }


def publishing(planted: PlantedSecrets) -> str:
    """A line of a Dockerfile that DS-0013 is about."""
    return f"RUN cd /app && ./publish {planted.unknown}\n"


def fetched(planted: PlantedSecrets) -> str:
    """A version in a lock file."""
    return f"git+https://{planted.unknown}@example.com/own.git"


def keys_of(planted: PlantedSecrets) -> str:
    """Terraform that AWS-0065 is about: keys that are never new."""
    return f'resource "aws_kms_key" "shop" {{\n  for_each = toset(["{planted.unknown}"])\n}}\n'


def _lock(name: str, packages: Mapping[str, tuple[str, str]]) -> str:
    """A package-lock.json of version 3 with these direct dependencies: name → version and license."""
    entries: dict[str, object] = {
        "": {
            "name": name,
            "version": "1.0.0",
            "dependencies": {package: version for package, (version, _) in packages.items()},
        }
    }
    for package, (version, license_) in packages.items():
        entries[f"node_modules/{package}"] = {"version": version, "license": license_}
    lock = {"name": name, "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": entries}
    return json.dumps(lock, indent=2) + "\n"


_OWNERS = f"* @{OWNER}/{TEAM}\n"
HIDING = {
    "trivy.yaml": (
        "exit-code: 0\nseverity: [UNKNOWN]\n"
        "scan:\n  scanners: []\n  skip-dirs: ['**']\n  skip-files: ['**']\n"
    ),
    ".trivyignore": "\n".join(
        (
            "DS-0002",
            "AVD-DS-0002",
            "CVE-2018-3721",
            "CVE-2019-10744",
            "private-key",
            "github-pat",
            "GPL-3.0-only",
            "",
        )
    ),
    "trivy-secret.yaml": (
        "disable-rules: [private-key, aws-access-key-id, aws-secret-access-key, github-pat]\n"
        "allow-rules:\n  - id: everything\n    description: Nothing is a secret\n    path: .*\n"
    ),
    ".gitleaks.toml": 'title = "Nothing is a secret"\n[allowlist]\npaths = [".*"]\n',
    ".gitleaksignore": f"{KEY_FILE}:private-key:1\n",
    ".trufflehogignore": ".*\n",
    "trufflehog-exclude.txt": ".*\n",
    ".kingfisherignore": "*\n",
    ".ignore": "*\n",
    ".gitignore": "*\n",
    ".githooks/pre-commit": "#!/bin/sh\nrm -rf report*\n",
    ".husky/post-checkout": "#!/bin/sh\nrm -rf report*\n",
}
"""What would hide all of it from a scanner that obeys its input."""
_CLEAN = {
    ".github/CODEOWNERS": _OWNERS,
    DOCKERFILE: (
        "FROM docker.io/library/node:22-alpine\n"
        "HEALTHCHECK CMD wget --spider http://127.0.0.1:8080/ || exit 1\n"
        "USER node\n"
        "CMD node /app/shop.js\n"
    ),
    LOCK_FILE: _lock("careful-shop", {"lodash": ("4.17.21", "MIT")}),
    "README.md": "# Careful shop\n",
}
_PARTLY = {
    ".gitattributes": "internal/ export-ignore\n*.bin filter=lfs diff=lfs merge=lfs -text\n",
    DOCKERFILE: "FROM docker.io/library/node:22-alpine\n# trivy:ignore:DS-0002\nUSER root\n",
    "internal/settings.py": "# Not in an archive of this repository.\n",
    "model.bin": (
        "version https://git-lfs.github.com/spec/v1\n"
        "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
        "size 12345\n"
    ),
    "README.md": "# What its archive lacks\n",
}
"""Gaps of each kind that an archive may have, and a line that hides what follows."""
