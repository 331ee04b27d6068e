"""What `redeem` gets from its environment: the variables are the fields' names in capitals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glovebox.environment import Variables


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    scans_table: str
    claims_bucket: str
    handoff_bucket: str
    scanning_account: str
    audit_role: str
    external_id: str
    session_policy: str
    session_managed_policies: tuple[str, ...]
    gateways: tuple[str, ...]
    ticket_key_secret: str

    @classmethod
    def read(cls, values: Mapping[str, str]) -> Environment:
        """Raises ConfigurationError, which names the variable."""
        variables = Variables(values)
        return cls(
            scans_table=variables.text("SCANS_TABLE"),
            claims_bucket=variables.text("CLAIMS_BUCKET"),
            handoff_bucket=variables.text("HANDOFF_BUCKET"),
            scanning_account=variables.text("SCANNING_ACCOUNT"),
            audit_role=variables.text("AUDIT_ROLE"),
            external_id=variables.text("EXTERNAL_ID"),
            session_policy=variables.text("SESSION_POLICY"),
            session_managed_policies=variables.names("SESSION_MANAGED_POLICIES"),
            gateways=variables.names_or_none("GATEWAYS"),
            ticket_key_secret=variables.text("TICKET_KEY_SECRET"),
        )
