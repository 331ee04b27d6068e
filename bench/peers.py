"""The peers: how each is asked about the same sites, and whether it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.sites import Site

REQUIREMENTS: Final = Path(__file__).with_name("requirements-sslyze.txt")
_ALL_VERSIONS: Final = ("--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3")

Commands = Callable[[Sequence[Site], int, Path], list[list[str]]]
"""Sites, port and a folder for its files → what to run, one after the other."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A scanner of others."""

    name: str
    program: str | None
    """`None`: not installed here."""
    missing: str
    """What to do then."""
    start: str
    """The argument with which it starts and ends at once."""
    commands: Commands
    hosts: int
    """A slow peer is asked about few."""
    quick_hosts: int
    distinct_addresses: bool = False
    """It cannot be given a name with an address, so each address is one host to it."""


def peers(environments: Path) -> list[Peer]:
    """All of them; sslyze is installed on first use into an environment of its own under `environments`."""
    sslyze = _sslyze(environments)
    nmap, sslscan = shutil.which("nmap"), shutil.which("sslscan")
    no_sslyze = "its environment could not be made: see above"
    return [
        Peer("sslyze, suites", sslyze, no_sslyze, "--help", _sslyze_commands(sslyze, ()), 24, 6),
        Peer(
            "sslyze, standard",
            sslyze,
            no_sslyze,
            "--help",
            _sslyze_commands(sslyze, ("--certinfo", "--http_headers", "--elliptic_curves")),
            24,
            6,
        ),
        Peer(
            "nmap ssl-enum-ciphers", nmap, "apt install nmap", "--version", _nmap_commands(nmap), 50, 20, True
        ),
        Peer("sslscan", sslscan, "apt install sslscan", "--version", _sslscan_commands(sslscan), 20, 6),
    ]


def _sslyze_commands(program: str | None, more: tuple[str, ...]) -> Commands:
    def commands(sites: Sequence[Site], port: int, folder: Path) -> list[list[str]]:
        targets = folder / "sslyze.txt"
        targets.write_text("".join(f"{site.host}:{port}{{{site.address}}}\n" for site in sites))
        return [
            [str(program), "--mozilla_config", "disable", *_ALL_VERSIONS, *more, "--targets_in", str(targets)]
        ]

    return commands


def _nmap_commands(program: str | None) -> Commands:
    """nmap takes one server name a run, so the sites are asked by address; each has a default server."""

    def commands(sites: Sequence[Site], port: int, folder: Path) -> list[list[str]]:
        targets = folder / "nmap.txt"
        targets.write_text("".join(f"{site.address}\n" for site in sites))
        options = ["-Pn", "-n", "-sT", "-p", str(port), "--script", "ssl-enum-ciphers"]
        return [[str(program), *options, "-iL", str(targets)]]

    return commands


def _sslscan_commands(program: str | None) -> Commands:
    """One process a host: it has no list of targets with names of their own."""

    def commands(sites: Sequence[Site], port: int, folder: Path) -> list[list[str]]:
        return [
            [str(program), "--no-colour", f"--sni-name={site.host}", f"{site.address}:{port}"]
            for site in sites
        ]

    return commands


def _sslyze(environments: Path) -> str | None:
    """The program, installed from hash-pinned requirements where it is not there yet."""
    home = environments / "sslyze"
    program = home / "bin" / "sslyze"
    stamp = home / "requirements.txt"
    if program.exists() and stamp.exists() and stamp.read_bytes() == REQUIREMENTS.read_bytes():
        return str(program)
    print(f"Installing sslyze into {home} …", file=sys.stderr)
    venv.EnvBuilder(clear=True, with_pip=True).create(home)
    install = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run([*install, "--requirement", str(REQUIREMENTS)], env=environment, check=False)
    if done.returncode:
        return None
    stamp.write_bytes(REQUIREMENTS.read_bytes())
    return str(program)
