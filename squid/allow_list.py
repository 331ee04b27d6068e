"""The exact hosts that a scanner may ask for, from the endpoint data of the AWS SDK.

    python -m squid.allow_list prowler --regions eu-west-1 us-east-1     writes the list of these regions
    python -m squid.allow_list --diff      what the SDK's data would change in all lists
    python -m squid.allow_list --check     the same, and fails where there is anything

A list is a file of names for people to review: `allow-list/<scanner>-<regions>.txt`.  Its scanner declares
the services that it asks in `services/<scanner>.json`.  A name stands for itself alone: no patterns, no
leading dots.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import botocore.session
import msgspec
from botocore.config import Config
from botocore.session import Session

from glovebox.errors import ConfigurationError
from squid.hosts import LISTS, check_name

HERE = Path(__file__).parent


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a scanner asks for."""

    services: list[str]
    """The SDK's names of the services, asked in each region of the scan."""
    seats: dict[str, list[str]] = {}
    """Region → services that are asked there whatever the scan's regions are."""


@dataclass(frozen=True, slots=True)
class AllowList:
    scanner: str
    regions: tuple[str, ...]

    @property
    def path(self) -> Path:
        return LISTS / f"{self.scanner}-{'+'.join(self.regions)}.txt"

    def text(self) -> str:
        """The file, sorted by name, with the command that makes it."""
        declared = declaration(self.scanner)
        head = (
            f"# What {self.scanner} may ask for in {', '.join(self.regions)}.  "
            f"Made by: python -m squid.allow_list {self.scanner} --regions {' '.join(self.regions)}\n"
        )
        return head + "".join(f"{host}\n" for host in generate(declared, self.regions))


def declaration(scanner: str) -> Declaration:
    """Raises ConfigurationError where there is none, or it is malformed."""
    path = HERE / "services" / f"{scanner}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Declaration)
    except (OSError, msgspec.DecodeError) as exc:
        raise ConfigurationError(
            f"{scanner} declares no services that can be read: {exc}.", fix=f"Write {path}."
        ) from exc


def generate(declared: Declaration, regions: Iterable[str]) -> list[str]:
    """The host names that the SDK asks for these services in these regions, sorted.

    Raises ConfigurationError for a service that the SDK does not know, and for a name that no list can hold.
    """
    session = _session()
    unknown = {*declared.services, *chain(*declared.seats.values())} - set(session.get_available_services())
    if unknown:
        raise ConfigurationError(f"The SDK knows no service {min(unknown)}.", fix="Correct the declaration.")
    asked = {(service, region) for region in regions for service in declared.services}
    asked.update((service, region) for region, services in declared.seats.items() for service in services)
    hosts = {
        _host(session, service, region) for service, region in asked if _offered(session, service, region)
    }
    for host in hosts:
        check_name(host)
    return sorted(hosts)


@functools.cache
def _session() -> Session:
    """One for all lists: it keeps the services' models, which take most of the time to read."""
    return botocore.session.get_session()


def _offered(session: Session, service: str, region: str) -> bool:
    """Whether the SDK's data names the service in the region, or names no region for it at all."""
    regions = session.get_available_regions(service)
    return not regions or region in regions


def _host(session: Session, service: str, region: str) -> str:
    """What a client of the SDK asks; making one contacts nobody, and its keys are never used."""
    client = session.create_client(
        service,
        region_name=region,
        aws_access_key_id="unused",
        aws_secret_access_key="unused",  # noqa: S106
        # As scanners are configured: s3.us-east-1 in place of the name that serves all regions.
        config=Config(s3={"us_east_1_regional_endpoint": "regional"}),
    )
    return urlsplit(client.meta.endpoint_url).hostname or ""


def existing() -> list[AllowList]:
    found = [path.stem.partition("-") for path in sorted(LISTS.glob("*.txt"))]
    return [AllowList(scanner, tuple(regions.split("+"))) for scanner, _, regions in found]


def difference(allow_list: AllowList, text: str) -> list[str]:
    """Lines of a unified diff from the reviewed file to `text`, what the SDK's data gives today."""
    reviewed = allow_list.path.read_text() if allow_list.path.exists() else ""
    name = allow_list.path.name
    return list(difflib.unified_diff(reviewed.splitlines(), text.splitlines(), name, f"{name} today", n=0))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m squid.allow_list", description="The gateway's exact hosts."
    )
    parser.add_argument("scanner", nargs="?", help="whose list to write")
    parser.add_argument("--regions", nargs="+", default=[])
    parser.add_argument("--diff", action="store_true", help="show what the SDK's data would change")
    parser.add_argument("--check", action="store_true", help="as --diff, and fail where there is anything")
    options = parser.parse_args(arguments)
    if options.diff or options.check:
        changed = [line for each in existing() for line in difference(each, each.text())]
        print("\n".join(changed) or "The lists are what the SDK's data gives.")
        return 1 if options.check and changed else 0
    if not (options.scanner and options.regions):
        parser.error("name a scanner and its regions, or say --diff or --check")
    allow_list = AllowList(options.scanner, tuple(sorted(options.regions)))
    text = allow_list.text()
    print("\n".join(difference(allow_list, text)) or "Unchanged.")
    allow_list.path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
