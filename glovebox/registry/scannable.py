"""Which targets of an order are scanned, and why the others are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from glovebox.errors import ConflictError, GloveboxError, NotFoundError
from glovebox.registry.model import Account, Repository, refuse_scanning_account
from glovebox.registry.order import Accounts, Refused, Repositories

Target = TypeVar("Target", Account, Repository)


def require_scannable(account_id: str, on_record: Mapping[str, Account], *, scanning_account: str) -> Account:
    """The account, if it may be scanned now.

    Raises RefusedError for the account that scans, NotFoundError for one that is not on record, ConflictError
    for one that is disabled.
    """
    refuse_scanning_account(account_id, scanning_account)
    return _enabled(account_id, on_record)


def require_scannable_repository(repository_id: str, on_record: Mapping[str, Repository]) -> Repository:
    """As `require_scannable`; what its host calls archived is scanned all the same."""
    return _enabled(repository_id, on_record)


def _enabled(target_id: str, on_record: Mapping[str, Target]) -> Target:
    target = on_record.get(target_id)
    if target is None:
        raise not_on_record(target_id)
    if target.disabled is not None:
        raise ConflictError(
            f"{target.id} is disabled: {target.disabled.value}.",
            fix=f"To scan it all the same: glovebox targets set {target.id} --enable",
        )
    return target


def not_on_record(target_id: str) -> NotFoundError:
    return NotFoundError(
        f"{target_id} is not on record.", fix=f"Put it there: glovebox targets add {target_id}"
    )


def sort_out(
    wanted: Accounts, on_record: Iterable[Account], *, scanning_account: str
) -> tuple[list[Account], list[Refused]]:
    """The accounts to scan, each once and by id, and those that are refused.

    `"all"` asks for the enabled ones, so that what is disabled is not refused but not asked for.
    """
    known = {each.id: each for each in on_record}

    def required(account_id: str) -> Account:
        return require_scannable(account_id, known, scanning_account=scanning_account)

    found, refused = _sorted(wanted if wanted != "all" else _all(known), required)
    return found, [Refused(account=name, reason=reason) for name, reason in refused]


def sort_out_repositories(
    wanted: Repositories, on_record: Iterable[Repository]
) -> tuple[list[Repository], list[Refused]]:
    """As `sort_out`."""
    known = {each.id: each for each in on_record}

    def required(repository_id: str) -> Repository:
        return require_scannable_repository(repository_id, known)

    found, refused = _sorted(wanted if wanted != "all" else _all(known), required)
    return found, [Refused(repository=name, reason=reason) for name, reason in refused]


def _all(known: Mapping[str, Target]) -> Iterable[str]:
    return [each.id for each in known.values() if each.enabled]


def _sorted(
    ids: Iterable[str], required: Callable[[str], Target]
) -> tuple[list[Target], list[tuple[str, str]]]:
    found: list[Target] = []
    refused: list[tuple[str, str]] = []
    for target_id in sorted(set(ids)):
        try:
            found.append(required(target_id))
        except GloveboxError as error:
            refused.append((target_id, str(error)))
    return found, refused
