"""The box: two networks, the few ways between them, and the one way out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import aws_cdk as cdk
import msgspec
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct

from glovebox.errors import ConfigurationError
from glovebox_constructs.dns_firewall import DnsFirewall
from glovebox_constructs.endpoints import InterfaceEndpoints, Policies, gateway_endpoint
from glovebox_constructs.failure_queue import FailureQueue
from glovebox_constructs.gateway_keys import GatewayKeys
from glovebox_constructs.network_setup import NetworkSetup
from glovebox_constructs.networks import LoggedNetwork, Peering
from glovebox_constructs.role_groups import AWS_PORT, SITE_PORT, RoleGroups
from glovebox_constructs.runtime_function import RuntimeFunction
from glovebox_constructs.schedule import scheduled
from glovebox_constructs.squid_egress import FOLDER, SquidEgress
from squid.allow_list import AllowList
from squid.hosts import bucket_regions, hosts_of
from squid.settings import GatewaySettings
from stacks.audit_role import never_here
from stacks.defaults import function_defaults
from stacks.names import AUDIT_ROLE, SNAPSHOT_ROLE
from stacks.outputs import output
from stacks.scanners import Scanners
from stacks.settings import Settings
from stacks.storage import Storage, role_arn

SCAN_NETWORK = "10.42.0.0/20"
SCAN_BITS = 23
"""507 addresses a zone: a run of 250 tasks and the next one fit."""
EGRESS_NETWORK = "10.43.0.0/26"
EGRESS_BITS = 28
"""Sixteen addresses a zone, for one gateway and its successors."""
GATEWAYS = ("10.43.0.10", "10.43.0.26")
"""The gateway of each zone, in that zone's subnet: tasks know it by address and need no DNS."""
RESOLVER = "10.43.0.2"
"""Of the egress network: AWS puts it two above the network's own address."""
KEYS_TIME = cdk.Duration.minutes(2)
"""Two rotations of four writes at most."""
UPSTREAM_AUTHORITIES = "/opt/glovebox/amazon-roots.pem"
"""Amazon's own roots, which the gateway's image takes out of Debian's."""


class _Logged(TypedDict):
    """What everything here that writes a log takes."""

    key: kms.Key
    log_retention_days: int
    disposable: bool


class Perimeter(cdk.Stack):
    """Tasks and `ingest` stand in `scan`, which has no way out; the gateway stands in `egress`, which has.

    What is in `scan` reaches AWS by endpoints, each with a policy, and the gateway by its address; its
    resolver answers the names that Fargate needs.
    """

    def __init__(
        self, scope: Construct, id: str, *, settings: Settings, storage: Storage, scanners: Scanners
    ) -> None:
        super().__init__(scope, id, description="Glovebox: networks, endpoints, DNS firewall, egress gateway")
        self._settings, self._storage, self._scanners = settings, storage, scanners
        self.gateway_addresses = GATEWAYS[: settings.zones]
        self.scan = self._network("Scan", SCAN_NETWORK, SCAN_BITS, ec2.SubnetType.PRIVATE_ISOLATED)
        self.egress = self._network("Egress", EGRESS_NETWORK, EGRESS_BITS, ec2.SubnetType.PUBLIC)
        peering = Peering(self, "Peering", near=self.scan, far=self.egress)
        self.groups = self._groups()
        # A rule that names a group of the other network holds only once the networks are joined.
        self.groups.node.add_dependency(peering.connection)
        self._endpoints()
        self.dns = DnsFirewall(
            self,
            "DnsFirewall",
            vpc=self.scan,
            allowed=self._names_for_tasks(),
            also_logged=self.egress,
            **self._logged(),
        )
        self.gateway_keys = GatewayKeys(self, "GatewayKeys", key=storage.key)
        self.failures = FailureQueue(self, "Failures", key=storage.key)
        self.keys = self._keys()
        self.gateway = self._gateway()
        output(self, "GatewayAddresses", ",".join(self.gateway_addresses))
        output(self, "GatewayPublicAddresses", cdk.Fn.join(",", self.public_addresses))
        output(self, "GatewayS3Endpoint", self.gateway_s3.vpc_endpoint_id)
        output(self, "ScanS3Endpoint", self.s3.vpc_endpoint_id)
        output(self, "GatewayLeaf", self.gateway_keys.leaf.secret_arn)
        output(self, "GatewayAuthorities", self.gateway_keys.authorities.parameter_name)
        output(self, "TicketKeys", self.gateway_keys.ticket_keys.parameter_name)
        output(self, "KeysFunction", self.keys.function.function_name)

    @property
    def site_gateways(self) -> list[str]:
        """Each zone's listener for sites, as tasks are told of it."""
        return [f"{address}:{SITE_PORT}" for address in self.gateway_addresses]

    @property
    def aws_gateways(self) -> list[str]:
        """Each zone's listener for AWS, as scanners of accounts are told of it."""
        return [f"{address}:{AWS_PORT}" for address in self.gateway_addresses]

    @property
    def public_addresses(self) -> list[str]:
        """What AWS sees of the gateway, one a zone."""
        return [each.attr_public_ip for each in self.gateway.public_addresses]

    @property
    def task_subnets(self) -> list[str]:
        return [subnet.subnet_id for subnet in self.scan.subnets]

    # ------------------------------------------------------------ networks

    def _network(self, id: str, cidr: str, bits: int, kind: ec2.SubnetType) -> LoggedNetwork:
        return LoggedNetwork(
            self,
            id,
            cidr=cidr,
            zones=self._settings.zones,
            subnets="Tasks" if kind == ec2.SubnetType.PRIVATE_ISOLATED else "Gateway",
            subnet_bits=bits,
            kind=kind,
            **self._logged(),
        )

    def _groups(self) -> RoleGroups:
        setup = NetworkSetup(self, "Setup", networks=[self.scan, self.egress], **self._logged())
        services = {name: f"com.amazonaws.{cdk.Aws.REGION}.{name.lower()}" for name in ("S3", "DynamoDb")}
        setup.of(self.egress)
        looked_up = setup.of(self.scan, **services)
        return RoleGroups(
            self,
            "Roles",
            scan=self.scan,
            egress=self.egress,
            gateway_addresses=self.gateway_addresses,
            s3=looked_up.get_att_string("S3"),
            dynamodb=looked_up.get_att_string("DynamoDb"),
        )

    # ------------------------------------------------------------ ways to AWS

    def _endpoints(self) -> None:
        storage = self._storage
        ours = {"Account": cdk.Aws.ACCOUNT_ID}
        region = {"Partition": cdk.Aws.PARTITION, "Region": cdk.Aws.REGION}
        tasks, images = self._scanners.tasks, self._scanners.images
        fargate = {**ours, "ExecutionRoles": [task.execution_role.role_arn for task in tasks]}
        ingest = {"IngestRole": _later_role("Broker", "IngestRole")}
        launching = [_later_role("Broker", "LaunchRole"), _later_role("Drill", "DrillRole")]
        isolated = ec2.SubnetType.PRIVATE_ISOLATED
        buckets = {
            "ClaimsBucket": storage.claims.bucket_arn,
            "HandOffBucket": storage.handoff.bucket_arn,
            "ResultsBucket": storage.results.bucket_arn,
            "SnapshotsBucket": storage.snapshots.bucket_arn,
        }
        self.s3 = gateway_endpoint(
            self.scan,
            "S3",
            service=ec2.GatewayVpcEndpointAwsService.S3,
            subnets=isolated,
            policies={
                "s3_endpoint_policy": {
                    **fargate,
                    **ingest,
                    "LaunchRole": launching[0],
                    "LaunchRoles": launching,
                    "SnapshotRole": role_arn(SNAPSHOT_ROLE),
                    **buckets,
                    **region,
                }
            },
        )
        tables = {
            "ScansTable": storage.scans.table_arn,
            "SitesTable": storage.sites.table_arn,
            "RegistryTable": storage.registry.table_arn,
            "FindingsTable": storage.findings.table_arn,
        }
        gateway_endpoint(
            self.scan,
            "DynamoDb",
            service=ec2.GatewayVpcEndpointAwsService.DYNAMODB,
            subnets=isolated,
            policies={"dynamodb_endpoint_policy": {**ours, **ingest, **tables}},
        )
        InterfaceEndpoints(
            self,
            "Endpoints",
            vpc=self.scan,
            group=self.groups.endpoints,
            ecr={**fargate, "Repositories": images.repository_arns(images.repositories)},
            logs={**fargate, "LogGroups": [task.log_group.log_group_arn for task in tasks]},
        )
        self.gateway_s3 = gateway_endpoint(
            self.egress,
            "S3",
            service=ec2.GatewayVpcEndpointAwsService.S3,
            subnets=ec2.SubnetType.PUBLIC,
            policies={"gateway_s3_endpoint_policy": region, **self._audited()},
        )

    def _audited(self) -> Policies:
        """What audit roles may ask of S3; nothing while there is no target account."""
        targets = self._settings.targets
        if not targets:
            return {}
        never_here(self, targets)
        roles = [f"arn:{cdk.Aws.PARTITION}:iam::{account}:role/{AUDIT_ROLE}" for account in targets]
        return {"audit_s3_endpoint_policy": {"Targets": targets, "AuditRoles": roles}}

    def _names_for_tasks(self) -> list[str]:
        """What Fargate, the airlock and `ingest` ask for; the auditor's targets are resolved elsewhere."""
        region, account = cdk.Aws.REGION, cdk.Aws.ACCOUNT_ID
        regional = ("api.ecr", f"{account}.dkr.ecr", "logs", "s3", "dynamodb")
        storage = self._storage
        reached = (storage.results, storage.handoff, storage.claims, storage.snapshots)
        buckets = [each.bucket_name for each in reached]
        return [
            *(f"{name}.{region}.amazonaws.com" for name in regional),
            f"prod-{region}-starport-layer-bucket.s3.{region}.amazonaws.com",
            *(f"{bucket}.s3.{region}.amazonaws.com" for bucket in buckets),
            # By this one ECS's agent looks for environment files in us-east-1: its SDK knows that region so.
            f"{self._storage.handoff.bucket_name}.s3.amazonaws.com",
        ]

    # ------------------------------------------------------------ the way out

    def _gateway(self) -> SquidEgress:
        settings, images = self._settings, self._scanners.images
        return SquidEgress(
            self,
            "Gateway",
            subnets=self.egress.subnets,
            addresses=self.gateway_addresses,
            group=self.groups.gateway,
            image=images.image("squid"),
            promoted="squid" in settings.images,
            repository=images.repositories["squid"],
            files=self._gateway_files(),
            keys=self.gateway_keys,
            architecture=settings.architecture,
            size=settings.gateway_size,
            **self._logged(),
        )

    def _keys(self) -> RuntimeFunction:
        """Mints what the gateway needs, at once and then by the hour, where something is due."""
        keys = RuntimeFunction(
            self,
            "Keys",
            unit="keys",
            defaults=function_defaults(self._settings, key=self._storage.key, failures=self.failures),
            environment={
                "TICKET_KEY_SECRET": self.gateway_keys.ticket_key.secret_arn,
                "TICKET_KEYS_PARAMETER": self.gateway_keys.ticket_keys.parameter_name,
                "LEAF_SECRET": self.gateway_keys.leaf.secret_arn,
                "AUTHORITIES_PARAMETER": self.gateway_keys.authorities.parameter_name,
                "ALLOW_LIST": self._reviewed().name,
            },
            timeout=KEYS_TIME,
            memory=256,
            # Two at once would each make a first key.
            concurrency=1,
        )
        self.gateway_keys.written_by(keys)
        scheduled(
            self,
            "Hourly",
            keys,
            expression="rate(1 hour)",
            order={},
            description="Rotates the gateway's keys where that is due",
            key=self._storage.key,
            failures=self.failures,
        )
        return keys

    def _reviewed(self) -> Path:
        """The list of hosts for this deployment's regions."""
        regions = tuple(sorted(self._settings.regions))
        reviewed = AllowList("prowler", regions).path
        if not reviewed.is_file():
            raise ConfigurationError(
                f"There is no reviewed list of hosts for {', '.join(regions)}.",
                fix=f"Run `python -m squid.allow_list prowler --regions {' '.join(regions)}` and commit it.",
            )
        return reviewed

    def _gateway_files(self) -> Mapping[str, str]:
        """The configuration travels with the machine's template: a change of it is a deployment."""
        reviewed = self._reviewed()
        gateway = GatewaySettings(
            scan_subnets=tuple(subnet.ipv4_cidr_block for subnet in self.scan.subnets),
            allow_list=f"{FOLDER}/hosts.txt",
            bucket_regions=bucket_regions(hosts_of(reviewed)),
            public_keys=f"{FOLDER}/ticket-keys.pem",
            certificate=f"{FOLDER}/leaf.pem",
            certificate_key=f"{FOLDER}/leaf.key",
            upstream_authorities=UPSTREAM_AUTHORITIES,
            name_servers=(RESOLVER,),
            aws_port=AWS_PORT,
            site_port=SITE_PORT,
        )
        return {
            "settings.json": msgspec.json.encode(gateway).decode(),
            "hosts.txt": reviewed.read_text(),
        }

    def _logged(self) -> _Logged:
        return {
            "key": self._storage.key,
            "log_retention_days": self._settings.log_retention_days,
            "disposable": self._settings.disposable,
        }


def _later_role(stack: str, name: str) -> str:
    """Roles of later stacks: CloudFormation names them by stack and role, and adds an ending.

    Whoever can make a role of such a name in our own account needs no endpoint any more.
    """
    return f"arn:{cdk.Aws.PARTITION}:iam::{cdk.Aws.ACCOUNT_ID}:role/Glovebox-{stack}-{name}*"
