"""What `keys` gets from its environment: the variables are the fields' names in capitals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glovebox.environment import Variables


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    ticket_key_secret: str
    ticket_keys_parameter: str
    leaf_secret: str
    authorities_parameter: str
    allow_list: str
    """The reviewed list whose names the leaf bears: a file of `squid/allow-list`."""

    @classmethod
    def read(cls, values: Mapping[str, str]) -> Environment:
        """Raises ConfigurationError, which names the variable."""
        variables = Variables(values)
        return cls(
            ticket_key_secret=variables.text("TICKET_KEY_SECRET"),
            ticket_keys_parameter=variables.text("TICKET_KEYS_PARAMETER"),
            leaf_secret=variables.text("LEAF_SECRET"),
            authorities_parameter=variables.text("AUTHORITIES_PARAMETER"),
            allow_list=variables.text("ALLOW_LIST"),
        )
