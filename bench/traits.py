"""`python -m bench.traits [--json] [TRAIT...]`: the correctness table, from one audit of the fleet.

Exit code 0 where every answer is right, 1 where one is not.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from glovebox.farm.compare import differences
from glovebox.farm.running import Farm, running_farm
from glovebox.siteaudit.direct import audit_directly
from glovebox.siteaudit.record import SiteRecord

_WIDTH: Final = 160
"""Columns at least, so that a log shows what a terminal does."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One host of the fleet."""

    host: str
    shows: str
    failure_class: str | None
    versions: list[str]
    profile: str | None
    connections: int
    wrong: list[str]
    """Empty where every answer is right."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.traits", description=__doc__)
    parser.add_argument("traits", nargs="*", help="names of traits; all by default")
    parser.add_argument("--json", action="store_true", help="one row a line")
    options = parser.parse_args(arguments)
    with running_farm(only=options.traits) as farm:
        records = asyncio.run(_audit(farm))
    rows = [_row(farm, host, records[host]) for host in farm.hosts]
    if options.json:
        for row in rows:
            print(msgspec.json.encode(row).decode())
    else:
        _print(rows)
    return 1 if any(row.wrong for row in rows) else 0


async def _audit(farm: Farm) -> dict[str, SiteRecord]:
    date = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        record.fqdn: record
        async for record in audit_directly(farm.hosts, scan_date=date, settings=farm.settings)
    }


def _row(farm: Farm, host: str, record: SiteRecord) -> Row:
    trait = farm.traits[host]
    versions = record.tls.versions if record.tls else []
    return Row(
        host=host,
        shows=trait.shows,
        failure_class=record.failure_class,
        versions=[each.version for each in versions if each.supported == "yes"],
        profile=record.tls.profile if record.tls else None,
        connections=record.connections,
        wrong=differences(record, trait.expects),
    )


def _print(rows: Sequence[Row]) -> None:
    table = Table("host", "shows", "failure class", "versions", "profile", "connections", "answers")
    for row in rows:
        table.add_row(
            row.host.removesuffix(".fleet.test"),
            row.shows,
            row.failure_class or "–",
            " ".join(version.removeprefix("TLSv") for version in row.versions) or "–",
            row.profile or "–",
            str(row.connections),
            "; ".join(row.wrong) or "right",
        )
    right = sum(not row.wrong for row in rows)
    classes = {row.failure_class for row in rows} - {None}
    console = Console()
    console.width = max(console.width, _WIDTH)
    console.print(table)
    console.print(f"{right} of {len(rows)} hosts right; {len(classes)} failure classes told apart")


if __name__ == "__main__":
    sys.exit(main())
