"""The box as synthesized: no way out but the gateway, and a policy on every way to AWS."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest

from glovebox.cost.estimate import PriceTable, estimate
from glovebox.drill.flow_log import FORMAT
from glovebox.errors import ConfigurationError
from glovebox.rotation import entries_of
from glovebox_constructs.squid_egress import MAX_USER_DATA, packed
from squid.settings import GatewaySettings
from stacks.settings import Settings
from tests.infrastructure.templates import DIGESTS, Assembly, Resource, listed, synthesize

SCAN_ROLES = ("RolesTasks", "RolesTasksWithoutTicket", "RolesIngest", "RolesEndpoints")


def _all(assembly: Assembly, kind: str) -> list[Resource]:
    return [each for each in assembly.all() if each.type == kind]


def _egress(assembly: Assembly) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every rule out, with the short name of its group."""
    for group in assembly.of("AWS::EC2::SecurityGroup"):
        # Without a word about egress, everything would be let out.
        assert group.properties["SecurityGroupEgress"], group.name
        for rule in group.properties["SecurityGroupEgress"]:
            yield group.short, rule
    assert not _all(assembly, "AWS::EC2::SecurityGroupEgress")


def _peer(assembly: Assembly, rule: dict[str, Any]) -> str:
    [peer] = [rule[key] for key in rule if key.startswith(("Cidr", "Destination"))]
    return assembly.shown(peer)


# ---------------------------------------------------------------- networks


def test_the_scan_network_has_no_gateway_to_anywhere(promoted: Assembly) -> None:
    [attached] = promoted.of("AWS::EC2::VPCGatewayAttachment")
    assert promoted.shown(attached.properties["VpcId"]) == "Egress"
    for kind in ("NatGateway", "EgressOnlyInternetGateway", "TransitGatewayAttachment", "VPNGateway"):
        assert not _all(promoted, f"AWS::EC2::{kind}")


def test_scan_subnets_lead_to_the_gateways_subnets_and_nowhere_else(promoted: Assembly) -> None:
    seen: dict[str, set[str]] = {}
    for route in promoted.of("AWS::EC2::Route"):
        properties = dict(route.properties)
        table, there = promoted.shown(properties.pop("RouteTableId")), properties.pop("DestinationCidrBlock")
        [target] = properties
        seen.setdefault(table, set()).add(f"{there} {target}")
    peer = "VpcPeeringConnectionId"
    for zone in (1, 2):
        assert seen.pop(f"ScanTasksSubnet{zone}RouteTable") == {
            f"10.43.0.0/28 {peer}",
            f"10.43.0.16/28 {peer}",
        }
        assert seen.pop(f"EgressGatewaySubnet{zone}RouteTable") == {
            "0.0.0.0/0 GatewayId",
            f"10.42.0.0/23 {peer}",
            f"10.42.2.0/23 {peer}",
        }
    assert not seen


def test_flows_of_both_networks_are_logged_whole(assembly: Assembly) -> None:
    flows = assembly.of("AWS::EC2::FlowLog")
    assert {assembly.shown(each.properties["ResourceId"]) for each in flows} == {"Scan", "Egress"}
    assert {each.properties["TrafficType"] for each in flows} == {"ALL"}
    assert {each.properties["LogFormat"] for each in flows} == {FORMAT}
    assert {each.properties["MaxAggregationInterval"] for each in flows} == {60}


def test_nobody_gets_a_public_address_of_his_own_accord(assembly: Assembly) -> None:
    for subnet in assembly.of("AWS::EC2::Subnet"):
        assert subnet.properties["MapPublicIpOnLaunch"] is False


def test_default_groups_of_both_networks_are_closed(assembly: Assembly) -> None:
    closed = {assembly.shown(each.properties["DefaultGroup"]) for each in assembly.of("Custom::NetworkSetup")}
    assert closed == {"Scan.DefaultSecurityGroup", "Egress.DefaultSecurityGroup"}


def test_the_setup_may_change_default_groups_and_the_fail_closed_switch_alone(assembly: Assembly) -> None:
    policy = assembly.one("AWS::IAM::Policy", "SetupRoleDefaultPolicy")
    granted = {
        action: {assembly.shown(each) for each in listed(statement["Resource"])}
        for statement in policy.properties["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
    }
    reading = ("ManagedPrefixLists", "SecurityGroupRules", "Vpcs")
    for name in reading:
        assert granted.pop(f"ec2:Describe{name}") == {"*"}
    groups = {
        f"arn:aws:ec2:region:account:security-group/{name}.DefaultSecurityGroup"
        for name in ("Scan", "Egress")
    }
    assert granted == {
        "logs:CreateLogStream": {"SetupLog.Arn"},
        "logs:PutLogEvents": {"SetupLog.Arn"},
        "ec2:RevokeSecurityGroupEgress": groups,
        "ec2:RevokeSecurityGroupIngress": groups,
        "route53resolver:UpdateFirewallConfig": {"arn:aws:route53resolver:region:account:firewall-config/*"},
    }


# ---------------------------------------------------------------- security groups


def test_no_role_of_the_scan_network_may_speak_to_the_world(promoted: Assembly) -> None:
    for name, rule in _egress(promoted):
        if name not in SCAN_ROLES:
            assert name == "RolesGateway"
            continue
        peer = _peer(promoted, rule)
        if "/" in peer:
            assert ip_network(peer).prefixlen == 32, (name, rule)


def test_each_role_reaches_exactly_this(promoted: Assembly) -> None:
    reach: dict[str, set[str]] = {}
    for name, rule in _egress(promoted):
        ports = f"{rule['FromPort']}-{rule['ToPort']}"
        reach.setdefault(name, set()).add(f"{rule['IpProtocol']} {ports} {_peer(promoted, rule)}")
    to_aws = {"tcp 443-443 RolesEndpoints.GroupId", "tcp 443-443 SetupScan.S3"}
    gateways = {f"tcp {p}-{p} {a}/32" for p in (3128, 3129) for a in ("10.43.0.10", "10.43.0.26")}
    assert reach == {
        "RolesTasks": to_aws | gateways,
        "RolesTasksWithoutTicket": to_aws,
        "RolesIngest": {"tcp 443-443 SetupScan.S3", "tcp 443-443 SetupScan.DynamoDb"},
        "RolesEndpoints": {"icmp 252-86 255.255.255.255/32"},
        "RolesGateway": {"tcp 0-65535 0.0.0.0/0"},
    }


def test_the_gateway_answers_tasks_with_a_ticket_and_nobody_else(assembly: Assembly) -> None:
    for group in assembly.of("AWS::EC2::SecurityGroup"):
        assert "SecurityGroupIngress" not in group.properties
    rules = {
        (assembly.shown(rule["SourceSecurityGroupId"]), assembly.shown(rule["GroupId"]), rule["FromPort"])
        for rule in (each.properties for each in assembly.of("AWS::EC2::SecurityGroupIngress"))
        if rule["FromPort"] == rule["ToPort"] and rule["IpProtocol"] == "tcp"
    }
    assert len(rules) == len(assembly.of("AWS::EC2::SecurityGroupIngress"))
    assert rules == {
        ("RolesTasks.GroupId", "RolesGateway.GroupId", 3128),
        ("RolesTasks.GroupId", "RolesGateway.GroupId", 3129),
        ("RolesTasks.GroupId", "RolesEndpoints.GroupId", 443),
        ("RolesTasksWithoutTicket.GroupId", "RolesEndpoints.GroupId", 443),
    }


def test_site_audits_run_with_a_ticket_in_isolated_subnets(assembly: Assembly) -> None:
    told = assembly.one("AWS::Lambda::Function", "LaunchFunction").properties["Environment"]["Variables"]
    assert assembly.shown(told["SECURITY_GROUPS"]) == "RolesTasks.GroupId"
    assert assembly.shown(told["SUBNETS"]) == "ScanTasksSubnet1Subnet"


def test_ingest_stands_in_the_scan_network_without_a_way_out(assembly: Assembly) -> None:
    network = assembly.one("AWS::Lambda::Function", "IngestFunction").properties["VpcConfig"]
    assert [assembly.shown(each) for each in network["SecurityGroupIds"]] == ["RolesIngest.GroupId"]
    assert [assembly.shown(each) for each in network["SubnetIds"]] == ["ScanTasksSubnet1Subnet"]


# ---------------------------------------------------------------- endpoints


def _service(assembly: Assembly, endpoint: Resource) -> str:
    network, service = (assembly.shown(endpoint.properties[key]) for key in ("VpcId", "ServiceName"))
    return f"{network} {service.removeprefix('com.amazonaws.region.')}"


def test_every_endpoint_has_a_policy_of_ours(assembly: Assembly) -> None:
    endpoints = {_service(assembly, each): each for each in assembly.of("AWS::EC2::VPCEndpoint")}
    assert endpoints.keys() == {
        "Scan s3",
        "Scan dynamodb",
        "Scan ecr.api",
        "Scan ecr.dkr",
        "Scan logs",
        "Egress s3",
    }
    for name, endpoint in endpoints.items():
        for statement in endpoint.properties["PolicyDocument"]["Statement"]:
            assert statement["Sid"], name
            assert "*" not in listed(statement["Action"])
            assert statement["Condition"]


def test_interface_endpoints_answer_under_public_names_behind_their_group(assembly: Assembly) -> None:
    for endpoint in assembly.of("AWS::EC2::VPCEndpoint"):
        if endpoint.properties["VpcEndpointType"] == "Interface":
            assert endpoint.properties["PrivateDnsEnabled"] is True
            groups = map(assembly.shown, endpoint.properties["SecurityGroupIds"])
            assert list(groups) == ["RolesEndpoints.GroupId"]


def test_accounts_in_policies_are_named_whole(promoted: Assembly) -> None:
    """A wildcard in `aws:PrincipalAccount` is taken as text by AWS, and in a role's account it is a hole."""
    for endpoint in promoted.of("AWS::EC2::VPCEndpoint"):
        for statement in endpoint.properties["PolicyDocument"]["Statement"]:
            for condition in statement["Condition"].values():
                for account in listed(condition.get("aws:PrincipalAccount", [])):
                    assert "*" not in promoted.shown(account)
                for arn in listed(condition.get("aws:PrincipalArn", [])):
                    head = promoted.shown(arn).split(":role/")[0]
                    assert "*" not in head


def test_names_of_later_roles_in_policies_are_those_that_cloudformation_makes(assembly: Assembly) -> None:
    """A role's name is `<stack>-<logical id>-<ending>`, and none of them is long enough to be cut."""
    wanted = {
        assembly.shown(arn).split(":role/")[1].removesuffix("*")
        for endpoint in assembly.of("AWS::EC2::VPCEndpoint")
        for statement in endpoint.properties["PolicyDocument"]["Statement"]
        for arn in listed(statement["Condition"].get("ArnLike", {}).get("aws:PrincipalArn", []))
    }
    assert wanted == {
        "Glovebox-Broker-IngestRole",
        "Glovebox-Broker-LaunchRole",
        "Glovebox-Drill-DrillRole",
    }
    for prefix in wanted:
        fitting = [
            f"Glovebox-{role.stack}-{role.name}"
            for role in assembly.of("AWS::IAM::Role")
            if f"Glovebox-{role.stack}-{role.name}".startswith(prefix)
        ]
        assert len(fitting) == 1
        assert len(fitting[0]) <= 51  # 64 characters of a role's name, less CloudFormation's ending


def test_audit_roles_pass_only_with_target_accounts(assembly: Assembly, promoted: Assembly) -> None:
    def sids(of: Assembly) -> set[str]:
        [endpoint] = [each for each in of.of("AWS::EC2::VPCEndpoint") if _service(of, each) == "Egress s3"]
        return {each["Sid"] for each in endpoint.properties["PolicyDocument"]["Statement"]}

    always = {"LetImageLayersIntoTheGateway", "LetAuditorsReadPublicSites"}
    assert sids(assembly) == always
    assert sids(promoted) == always | {"LetAuditRolesReadSettingsOfBuckets", "DenyObjectsToAuditRoles"}


# ---------------------------------------------------------------- names


def test_policies_of_endpoints_fit_what_aws_takes(promoted: Assembly) -> None:
    """20,480 characters; expressions count as what they stand for, at their longest."""
    for endpoint in promoted.of("AWS::EC2::VPCEndpoint"):
        text = json.dumps(promoted.as_text(endpoint.properties["PolicyDocument"]), separators=(",", ":"))
        # What stands here by its short name is an ARN of some 150 characters there.
        assert len(text) + 130 * (text.count(".Arn") + text.count(":account:")) < 20_480


def test_the_dns_firewall_ends_with_block_all(assembly: Assembly) -> None:
    domains = {
        f"{each.short}.Id": each.properties["Domains"]
        for each in assembly.of("AWS::Route53Resolver::FirewallDomainList")
    }
    [group] = assembly.of("AWS::Route53Resolver::FirewallRuleGroup")
    rules = sorted(group.properties["FirewallRules"], key=lambda rule: rule["Priority"])
    assert [rule["Action"] for rule in rules] == ["ALLOW", "BLOCK"]
    assert domains[assembly.shown(rules[-1]["FirewallDomainListId"])] == ["*"]
    allowed = {assembly.shown(each) for each in domains[assembly.shown(rules[0]["FirewallDomainListId"])]}
    assert allowed == {
        "api.ecr.region.amazonaws.com",
        "account.dkr.ecr.region.amazonaws.com",
        "logs.region.amazonaws.com",
        "s3.region.amazonaws.com",
        "dynamodb.region.amazonaws.com",
        "prod-region-starport-layer-bucket.s3.region.amazonaws.com",
        "Results.s3.region.amazonaws.com",
        "HandOff.s3.region.amazonaws.com",
        "Claims.s3.region.amazonaws.com",
        "Snapshots.s3.region.amazonaws.com",
        "HandOff.s3.amazonaws.com",
    }


def test_the_firewall_is_the_scan_networks_and_both_networks_questions_are_logged(assembly: Assembly) -> None:
    [association] = assembly.of("AWS::Route53Resolver::FirewallRuleGroupAssociation")
    logged = assembly.of("AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation")
    assert assembly.shown(association.properties["VpcId"]) == "Scan"
    assert {assembly.shown(each.properties["ResourceId"]) for each in logged} == {"Scan", "Egress"}


# ---------------------------------------------------------------- the gateway


def test_no_gateway_runs_until_its_image_is_promoted(assembly: Assembly, promoted: Assembly) -> None:
    sizes = [each.properties["MaxSize"] for each in assembly.of("AWS::AutoScaling::AutoScalingGroup")]
    assert sizes == ["0"]
    for group in promoted.of("AWS::AutoScaling::AutoScalingGroup"):
        assert {group.properties[key] for key in ("MinSize", "MaxSize", "DesiredCapacity")} == {"1"}


def test_each_zones_group_takes_the_same_interface_with_its_addresses(promoted: Assembly) -> None:
    interfaces = {
        each.properties["PrivateIpAddress"]: each for each in promoted.of("AWS::EC2::NetworkInterface")
    }
    assert interfaces.keys() == {"10.43.0.10", "10.43.0.26"}
    subnets = {each.short: each.properties["CidrBlock"] for each in promoted.of("AWS::EC2::Subnet")}
    for address, interface in interfaces.items():
        subnet = subnets[promoted.shown(interface.properties["SubnetId"])]
        assert ip_address(address) in ip_network(subnet)
    held = {
        promoted.shown(network["NetworkInterfaceId"])
        for template in promoted.of("AWS::EC2::LaunchTemplate")
        for network in template.properties["LaunchTemplateData"]["NetworkInterfaces"]
    }
    joined = {
        promoted.shown(each.properties["NetworkInterfaceId"])
        for each in promoted.of("AWS::EC2::EIPAssociation")
    }
    assert held == joined == {f"{each.short}.Id" for each in interfaces.values()}


def test_gateways_have_no_key_pair_and_metadata_that_containers_cannot_reach(promoted: Assembly) -> None:
    for template in promoted.of("AWS::EC2::LaunchTemplate"):
        data = template.properties["LaunchTemplateData"]
        assert "KeyName" not in data
        assert data["MetadataOptions"] == {
            "HttpEndpoint": "enabled",
            "HttpPutResponseHopLimit": 1,
            "HttpTokens": "required",
        }
        assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
        [disk] = data["BlockDeviceMappings"]
        assert disk["Ebs"]["Encrypted"] is True


def test_the_gateway_may_pull_log_and_read_its_two_secrets(promoted: Assembly) -> None:
    policy = promoted.one("AWS::IAM::Policy", "GatewayRoleDefaultPolicy")
    granted = {
        action: {promoted.shown(each) for each in listed(statement["Resource"])}
        for statement in policy.properties["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
    }
    assert granted.pop("ssm:GetParameter").pop().endswith("parameter/GatewayKeysTicketKeys")
    assert granted == {
        "ecr:GetAuthorizationToken": {"*"},
        "ecr:BatchGetImage": {"ImagesSquid.Arn"},
        "ecr:GetDownloadUrlForLayer": {"ImagesSquid.Arn"},
        "logs:CreateLogStream": {"GatewayLedger.Arn"},
        "logs:PutLogEvents": {"GatewayLedger.Arn"},
        "secretsmanager:GetSecretValue": {"GatewayKeysLeaf"},
        "kms:Decrypt": {"Key.Arn"},
    }


def test_a_deployment_knows_no_value_of_a_secret_that_keys_writes(promoted: Assembly) -> None:
    """CloudFormation sets back what it has a value of, whenever the resource changes."""
    for secret in promoted.of("AWS::SecretsManager::Secret", "Perimeter"):
        assert {"SecretString", "GenerateSecretString"}.isdisjoint(secret.properties), secret.name


def test_a_parameter_s_first_text_is_one_that_gateways_and_keys_take_for_none(promoted: Assembly) -> None:
    texts = promoted.of("AWS::SSM::Parameter", "Perimeter")
    assert {text.short for text in texts} == {"GatewayKeysTicketKeys", "GatewayKeysAuthorities"}
    for text in texts:
        assert entries_of(text.properties["Value"]) == ()
        assert "-----BEGIN" not in text.properties["Value"]


def _user_data(assembly: Assembly) -> str:
    template = assembly.of("AWS::EC2::LaunchTemplate")[0]
    return assembly.shown(template.properties["LaunchTemplateData"]["UserData"]["Fn::Base64"])


def test_the_gateway_runs_the_promoted_digest_without_rights(promoted: Assembly) -> None:
    text = _user_data(promoted)
    assert f"@{DIGESTS['squid']}" in text
    for option in (
        "--read-only",
        "--cap-drop ALL",
        "no-new-privileges",
        "--publish 3128:3128",
        "--env GLOVEBOX_REGION=",
    ):
        assert option in text
    assert "--privileged" not in text
    assert "--network host" not in text
    assert len(text) < MAX_USER_DATA


def test_the_gateway_gets_settings_that_its_image_reads(promoted: Assembly) -> None:
    packed_text = _user_data(promoted).split("<<'FILES'")[1].split("\n", 1)[1].split("\nFILES\n")[0]
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed_text))) as archive:
        entries = {name: archive.extractfile(name) for name in archive.getnames()}
        files = {name: entry.read() for name, entry in entries.items() if entry is not None}
    settings = msgspec.json.decode(files["settings.json"], type=GatewaySettings)
    assert settings.scan_subnets == ("10.42.0.0/23", "10.42.2.0/23")
    assert (settings.aws_port, settings.site_port) == (3128, 3129)
    assert b"iam.amazonaws.com" in files["hosts.txt"]


def test_a_tripwire_in_the_ledger_raises_an_alarm(assembly: Assembly) -> None:
    [counter] = [
        each
        for each in assembly.of("AWS::Logs::MetricFilter")
        if assembly.shown(each.properties["LogGroupName"]) == "GatewayLedger"
    ]
    assert counter.properties["FilterPattern"] == '{ ($.tripwire = "yes") && ($.scan != "drill-*") }'
    alarm = assembly.one("AWS::CloudWatch::Alarm", "Tripwire")
    [counted] = counter.properties["MetricTransformations"]
    assert alarm.properties["MetricName"] == counted["MetricName"]


def test_an_unhealthy_zone_raises_an_alarm(assembly: Assembly, promoted: Assembly) -> None:
    def alarms(of: Assembly) -> int:
        return sum(each.short.startswith("GatewayDown") for each in of.of("AWS::CloudWatch::Alarm"))

    assert (alarms(assembly), alarms(promoted)) == (0, 2)


def test_regions_without_a_reviewed_list_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises((ConfigurationError, RuntimeError), match="reviewed list"):
        synthesize(tmp_path_factory.mktemp("unlisted"), Settings(regions=("eu-north-1",)))


def test_the_same_files_are_packed_to_the_same_text() -> None:
    assert packed({"a": "1", "b": "2"}) == packed({"b": "2", "a": "1"}) != packed({"a": "1", "b": "3"})


def test_templates_hold_no_secret(promoted: Assembly) -> None:
    assert "PRIVATE KEY" not in json.dumps(promoted.templates["Perimeter"])


# ---------------------------------------------------------------- what it costs

BUDGET = 35.0
"""USD a month in one zone, while nothing runs."""


def test_an_idle_month_in_one_zone_stays_within_the_budget(tmp_path: Path) -> None:
    """By the default settings; Shodan's secret and its alarm come to half a dollar more."""
    lines = estimate(synthesize(tmp_path, Settings()).templates.values(), PriceTable.load())
    assert 25 < sum(line.usd for line in lines) <= BUDGET


def test_a_second_zone_has_its_own_endpoints_and_gateway(assembly: Assembly, promoted: Assembly) -> None:
    def quantity(of: Assembly, what: str) -> float:
        [line] = [each for each in estimate(of.templates.values(), PriceTable.load()) if each.what == what]
        return line.quantity

    for what, each in (("interface endpoint, per zone", 3), ("public IPv4 address", 1), ("t4g.nano", 1)):
        assert (quantity(assembly, what), quantity(promoted, what)) == (each, 2 * each)
