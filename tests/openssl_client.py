"""What `openssl s_client` proves of a server: an oracle that shares no code with ours."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

from glovebox.farm.running import environment

VERSIONS = {"TLSv1.0": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
"""Those that OpenSSL still speaks, and its flag for each."""


def accepted_suites(endpoint: str, host: str, version: str, folder: Path) -> set[str]:
    """IANA names of what the server takes, by elimination."""
    names = iana_names(folder)
    accepted: set[str] = set()
    while True:
        if version == "TLSv1.3":
            left = [name for name in names if name.startswith("TLS_") and name not in accepted]
            offer = ["-ciphersuites", ":".join(left)]
        else:
            offer = [
                "-cipher",
                ":".join(["ALL:COMPLEMENTOFALL", *(f"-{name}" for name in accepted), "@SECLEVEL=0"]),
            ]
        answer = subprocess.run(
            ["openssl", "s_client", "-connect", endpoint, "-servername", host, VERSIONS[version], *offer],
            env=environment(folder),
            input=b"",
            capture_output=True,
            timeout=30,
            check=False,
        )
        chosen = re.search(rb"Cipher is ([\w-]+)", answer.stdout)
        if chosen is None or chosen[1] == b"(NONE)" or chosen[1].decode() in accepted:
            return {names[name] for name in accepted}
        accepted.add(chosen[1].decode())


@cache
def iana_names(folder: Path) -> dict[str, str]:
    """OpenSSL's name of each suite that it speaks → IANA's."""
    listed = subprocess.run(
        ["openssl", "ciphers", "-stdname", "-s", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    return {row[2]: row[0] for row in rows}
