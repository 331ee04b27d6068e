"""Which accounts of an order are scanned, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from glovebox.errors import ConflictError, GloveboxError, NotFoundError
from glovebox.registry.model import Account, refuse_scanning_account
from glovebox.registry.order import Accounts, Refused


def require_scannable(account_id: str, on_record: Mapping[str, Account], *, scanning_account: str) -> Account:
    """The account, if it may be scanned now.

    Raises RefusedError for the account that scans, NotFoundError for one that is not on record, ConflictError
    for one that is disabled.
    """
    refuse_scanning_account(account_id, scanning_account)
    account = on_record.get(account_id)
    if account is None:
        raise not_on_record(account_id)
    if account.disabled is not None:
        raise ConflictError(
            f"{account.id} is disabled: {account.disabled.value}.",
            fix=f"To scan it all the same: glovebox targets set {account.id} --enable",
        )
    return account


def not_on_record(account_id: str) -> NotFoundError:
    return NotFoundError(
        f"{account_id} is not on record.", fix=f"Put it there: glovebox targets add {account_id}"
    )


def sort_out(
    wanted: Accounts, on_record: Iterable[Account], *, scanning_account: str
) -> tuple[list[Account], list[Refused]]:
    """The accounts to scan, each once and by id, and those that are refused.

    `"all"` asks for the enabled ones, so that what is disabled is not refused but not asked for.
    """
    known = {each.id: each for each in on_record}
    ids: Sequence[str] = wanted if wanted != "all" else [each.id for each in known.values() if each.enabled]
    found: list[Account] = []
    refused: list[Refused] = []
    for account_id in sorted(set(ids)):
        try:
            found.append(require_scannable(account_id, known, scanning_account=scanning_account))
        except GloveboxError as error:
            refused.append(Refused(account=account_id, reason=str(error)))
    return found, refused
