"""Accounts in a CSV file: read whole or not at all, with the line of each mistake.

    id,name,ou,tags,regions,team,external_id,enabled
    111122223333,Shop,Root/Prod,env=prod;tier=1,eu-central-1;eu-west-1,payments,,yes

Only `id` must be there.  A column that the file does not have leaves what is on record as it is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any, Final

from glovebox.errors import InputError
from glovebox.registry.model import Account, Disabled, Source, parse_ou, parse_tag
from glovebox.text import visible

MAX_BYTES: Final = 10 << 20
MAX_ROWS: Final = 20_000
"""Twice the largest organization that AWS makes room for by itself."""
NAMED_MISTAKES: Final = 10

Read = tuple[Account, frozenset[str]]
"""An account, and the names of the fields that the file speaks of."""


def read_accounts(content: bytes) -> list[Read]:
    """The file's accounts.  Raises InputError, which names the first lines that are wrong."""
    if len(content) > MAX_BYTES:
        raise InputError(f"The file has more than {MAX_BYTES >> 20} MiB.", fix="Give one of accounts.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("The file is no UTF-8 text.", fix='Save it as "CSV UTF-8".') from error
    rows = csv.reader(io.StringIO(text), strict=True)
    try:
        columns = _header(next(rows, []))
        return _accounts(rows, columns)
    except csv.Error as error:
        raise InputError(f"Line {rows.line_num} is no CSV: {error}.", fix="Mend it.") from error


def _accounts(rows: Any, columns: list[str]) -> list[Read]:  # csv's reader has no public type
    read: list[Read] = []
    lines: dict[str, int] = {}
    mistakes: list[str] = []
    for cells in rows:
        if not any(cells):
            continue
        if len(read) + len(mistakes) >= MAX_ROWS:
            raise InputError(f"The file has more than {MAX_ROWS:,} rows.", fix="Split it.")
        try:
            account, fields = _account(dict(zip(columns, cells, strict=False)), len(cells), len(columns))
        except InputError as error:
            mistakes.append(f"line {rows.line_num}: {error}")
            continue
        first = lines.setdefault(account.id, rows.line_num)
        if first == rows.line_num:
            read.append((account, fields))
        else:
            mistakes.append(f"line {rows.line_num}: {account.id} is on line {first} already.")
    if mistakes:
        more = f" And {len(mistakes) - NAMED_MISTAKES:,} more." if len(mistakes) > NAMED_MISTAKES else ""
        raise InputError(
            f"Nothing was imported: {' '.join(mistakes[:NAMED_MISTAKES])}{more}", fix="Mend these lines."
        )
    return read


def _header(cells: list[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    unknown = [column for column in columns if column not in _FIELDS]
    if unknown or "id" not in columns or len(set(columns)) < len(columns):
        said = f", not {visible(', '.join(unknown), 80)!r}" if unknown else ""
        raise InputError(
            f"The first line must name columns, each once, with id among them{said}.",
            fix=f"There are: {', '.join(_FIELDS)}.",
        )
    return columns


def _account(row: Mapping[str, str], cells: int, columns: int) -> Read:
    if cells != columns:
        raise InputError(f"It has {cells} cells where the first line has {columns}.")
    values: dict[str, Any] = {}
    for column, cell in row.items():
        field, parse = _FIELDS[column]
        values[field] = parse(cell.strip())
    return Account(**values, source=Source.FILE), frozenset(values)


def _tags(cell: str) -> dict[str, str]:
    return dict(parse_tag(each.strip()) for each in cell.split(";") if each.strip())


def _regions(cell: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in cell.split(";") if each.strip())


def _disabled(cell: str) -> Disabled | None:
    match cell.lower():
        case "yes" | "true" | "1" | "":
            return None
        case "no" | "false" | "0":
            return Disabled.BY_HAND
        case _:
            raise InputError(f"{visible(cell, 40)!r} is neither yes nor no.")


_FIELDS: Final[dict[str, tuple[str, Callable[[str], object]]]] = {
    "id": ("id", str),
    "name": ("name", str),
    "ou": ("ou", parse_ou),
    "tags": ("tags", _tags),
    "regions": ("regions", _regions),
    "team": ("team", str),
    "external_id": ("external_id", str),
    "enabled": ("disabled", _disabled),
}
