"""What `notify` gets from its environment: the variables are the fields' names in capitals.

It reads the table of findings (`GetItem`, `Query`, `BatchGetItem`, `Query` on its index `by-kind`) and the
registry (`Query`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glovebox.environment import Variables


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    scans_table: str
    sites_table: str
    findings_table: str
    registry_table: str
    topic: str
    page_url: str

    @classmethod
    def read(cls, values: Mapping[str, str]) -> Environment:
        """Raises ConfigurationError, which names the variable."""
        variables = Variables(values)
        return cls(
            scans_table=variables.text("SCANS_TABLE"),
            sites_table=variables.text("SITES_TABLE"),
            findings_table=variables.text("FINDINGS_TABLE"),
            registry_table=variables.text("REGISTRY_TABLE"),
            topic=variables.text("TOPIC"),
            page_url=variables.text("PAGE_URL"),
        )
