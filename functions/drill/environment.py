"""What `drill` gets from its environment: the variables are the fields' names in capitals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glovebox.environment import Variables


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    account: str
    api_port: int
    region: str
    cluster: str
    drills_bucket: str
    egress_network: str
    flow_logs: tuple[str, ...]
    gateways: tuple[str, ...]
    handoff_bucket: str
    ledger: str
    query_log: str
    audited_region: str
    results_bucket: str
    results_key_arn: str
    scan_network: str
    security_groups: tuple[str, ...]
    subnets: tuple[str, ...]
    task_definition: str
    ticket_key_secret: str

    @classmethod
    def read(cls, values: Mapping[str, str]) -> Environment:
        """Raises ConfigurationError, which names the variable."""
        variables = Variables(values)
        return cls(
            account=variables.text("ACCOUNT"),
            api_port=variables.number("API_PORT", least=1, most=65_535),
            region=variables.text("REGION"),
            cluster=variables.text("CLUSTER"),
            drills_bucket=variables.text("DRILLS_BUCKET"),
            egress_network=variables.text("EGRESS_NETWORK"),
            flow_logs=variables.names("FLOW_LOGS"),
            gateways=variables.names_or_none("GATEWAYS"),
            handoff_bucket=variables.text("HANDOFF_BUCKET"),
            ledger=variables.text("LEDGER"),
            query_log=variables.text("QUERY_LOG"),
            audited_region=variables.text("AUDITED_REGION"),
            results_bucket=variables.text("RESULTS_BUCKET"),
            results_key_arn=variables.text("RESULTS_KEY_ARN"),
            scan_network=variables.text("SCAN_NETWORK"),
            security_groups=variables.names("SECURITY_GROUPS"),
            subnets=variables.names("SUBNETS"),
            task_definition=variables.text("TASK_DEFINITION"),
            ticket_key_secret=variables.text("TICKET_KEY_SECRET"),
        )
