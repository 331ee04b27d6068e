"""AWS Organizations: the accounts of an organization with their units and tags."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from glovebox.adapters.aws import calling
from glovebox.errors import UpstreamError
from glovebox.registry.importing import Member
from glovebox.registry.model import MAX_OU_DEPTH
from glovebox.text import visible

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_organizations.type_defs import AccountTypeDef

_AT_ONCE: Final = 4
"""Organizations admits a handful of these calls a second, and botocore waits for the rest."""
_MAX_TEXT: Final = 128


class AwsOrganization:
    """`glovebox.registry.importing.Organization`, seen from its management account or a delegate."""

    def __init__(self, client: OrganizationsClient) -> None:
        self._client = client

    def members(self) -> Iterator[Member]:
        with calling("Reading the organization"):
            found = [each for root in self._roots() for each in self._below(*root)]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                tags = list(pool.map(self._tags, (str(account.get("Id")) for account, _ in found)))
        for (account, path), its_tags in zip(found, tags, strict=True):
            yield Member(
                id=str(account.get("Id")),
                name=visible(account.get("Name", ""), _MAX_TEXT),
                state=_state(account),
                ou=path,
                tags=its_tags,
            )

    def _roots(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for page in self._client.get_paginator("list_roots").paginate():
            for root in page["Roots"]:
                yield str(root.get("Id")), (_part(root.get("Name", "")),)

    def _below(self, parent: str, path: tuple[str, ...]) -> Iterator[tuple[AccountTypeDef, tuple[str, ...]]]:
        if len(path) > MAX_OU_DEPTH:
            raise UpstreamError(
                "The organization is deeper than AWS lets one be.", fix="See what answers in its place."
            )
        for page in self._client.get_paginator("list_accounts_for_parent").paginate(ParentId=parent):
            yield from ((account, path) for account in page["Accounts"])
        units = self._client.get_paginator("list_organizational_units_for_parent")
        for unit_page in units.paginate(ParentId=parent):
            for unit in unit_page["OrganizationalUnits"]:
                yield from self._below(str(unit.get("Id")), (*path, _part(unit.get("Name", ""))))

    def _tags(self, account: str) -> dict[str, str]:
        pages = self._client.get_paginator("list_tags_for_resource").paginate(ResourceId=account)
        # A key with `=` cannot be named by a rule; it is shown with another sign, like what cannot be seen.
        return {
            visible(tag["Key"], _MAX_TEXT).replace("=", ":"): visible(tag["Value"], 2 * _MAX_TEXT)
            for page in pages
            for tag in page["Tags"]
        }


def _part(name: str) -> str:
    """A unit's name as part of a path."""
    return visible(name, _MAX_TEXT).replace("/", "%2F")[:_MAX_TEXT]


def _state(account: AccountTypeDef) -> str:
    """`State`, which AWS put in the place of `Status` in 2025; older answers have only that."""
    # Older stubs do not know the newer name.
    fields: Any = account
    return str(fields.get("State") or fields.get("Status", "unknown"))
