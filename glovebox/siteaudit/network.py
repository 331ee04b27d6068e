"""What an audit knows of the world outside: where names lead, and how a connection is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glovebox.errors import RefusedError
from glovebox.siteaudit.connect import Connector
from glovebox.siteaudit.resolution import Resolution, Resolve


class NotGivenError(RefusedError):
    """A name that the request does not say anything about."""


@dataclass(frozen=True, slots=True)
class Network:
    """`direct.direct_network` makes one that resolves, `given_network` one that does not."""

    connector: Connector
    resolve: Resolve
    ports: frozenset[int] = frozenset()
    """The only ports that can be reached; empty where every port can."""


def given_network(
    connector: Connector, resolutions: Mapping[str, Resolution], *, ports: frozenset[int] = frozenset()
) -> Network:
    """A network whose names are those of `resolutions`: nothing is ever resolved.

    Its `resolve` raises NotGivenError for every other name, and for literal addresses.
    """

    async def resolve(name: str) -> Resolution:
        try:
            return resolutions[name]
        except KeyError as error:
            raise NotGivenError(
                f"{name[:253]!r} is not among the names of this request.", fix="Add its host to the request."
            ) from error

    return Network(connector, resolve, ports)
