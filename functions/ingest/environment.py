"""What `ingest` gets from its environment: the variables are the fields' names in capitals.

What it does with the table of findings, and so must be allowed to: `GetItem`, `Query`, `PutItem`,
`UpdateItem` and `DeleteItem` on the table, `Query` on its index `by-kind`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glovebox.environment import Variables


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    scans_table: str
    sites_table: str
    registry_table: str
    findings_table: str
    results_bucket: str

    @classmethod
    def read(cls, values: Mapping[str, str]) -> Environment:
        """Raises ConfigurationError, which names the variable."""
        variables = Variables(values)
        return cls(
            scans_table=variables.text("SCANS_TABLE"),
            sites_table=variables.text("SITES_TABLE"),
            registry_table=variables.text("REGISTRY_TABLE"),
            findings_table=variables.text("FINDINGS_TABLE"),
            results_bucket=variables.text("RESULTS_BUCKET"),
        )
