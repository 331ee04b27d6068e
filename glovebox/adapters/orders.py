"""Lambda: asking `launch` for scans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glovebox.adapters.invoking import TURNS_OF_PEOPLE, invoked
from glovebox.registry.order import AccountsOrder, OrderAnswer, RepositoriesAnswer, RepositoriesOrder

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class LambdaOrders:
    """`glovebox.registry.order.Orders`: waits for the answer, and never orders twice."""

    def __init__(self, client: LambdaClient, function: str) -> None:
        """`client` must not retry: an invocation that is repeated is another run."""
        self._client = client
        self._function = function

    def scan(self, order: AccountsOrder) -> OrderAnswer:
        return invoked(
            self._client, self._function, order, OrderAnswer, called="launch", turns=TURNS_OF_PEOPLE
        )

    def scan_repositories(self, order: RepositoriesOrder) -> RepositoriesAnswer:
        return invoked(
            self._client, self._function, order, RepositoriesAnswer, called="launch", turns=TURNS_OF_PEOPLE
        )
