"""What a synthesized CloudFormation template says of networks: who may send what to whom.

Only literals and the intrinsic functions that the CDK writes are understood; what cannot be read raises,
because a rule that is skipped here would be a rule that no test ever sees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TypeAlias

from glovebox.errors import InputError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Properties = Mapping[str, Json]

ROLES = "Roles"
"""The construct that makes the security groups; its name stands before theirs."""
_HASH = re.compile(r"(?<=.)[0-9A-F]{8}$")
_IDENTITIES = frozenset({"GroupId", "Id", "InternetGatewayId", "RouteTableId", "SubnetId", "VpcId"})
"""Attributes by which templates name a resource."""
PSEUDO_PARAMETERS = {
    "AWS::Region": "us-east-1",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::AccountId": "111122223333",
    "AWS::StackName": "Lab",
    "AWS::NoValue": "",
}
"""What CloudFormation would fill in; the values of the documentation's example account."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a security group.  `peer` is a CIDR, a group's logical id or a prefix list's id."""

    protocol: str
    """`tcp`, `udp`, `icmp`, `-1` for all, or a number of IANA's."""
    ports: tuple[int, int] | None
    peer: str


@dataclass(frozen=True, slots=True)
class Group:
    id: str
    """The logical id in the template."""
    name: str
    """The logical id without the hash that the CDK puts behind it."""
    vpc: str
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """`target` is `local`, `peering`, `internet` or `endpoint`."""

    destination: str
    """A CIDR, or a service name where `target` is `endpoint`."""
    target: str


@dataclass(frozen=True, slots=True)
class Subnet:
    id: str
    vpc: str
    network: IPv4Network
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    id: str
    service: str
    gateway: bool
    subnets: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface with an address of its own, as the gateway's, which outlives its instances."""

    subnet: str
    address: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameRule:
    """One line of a DNS firewall; the lowest `priority` that matches decides."""

    priority: int
    action: str
    domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """All that decides where a packet or a DNS question may go."""

    vpcs: Mapping[str, IPv4Network]
    subnets: Mapping[str, Subnet]
    groups: Mapping[str, Group]
    endpoints: Mapping[str, Endpoint]
    interfaces: tuple[Interface, ...]
    name_rules: Mapping[str, tuple[NameRule, ...]]
    """VPC → its DNS firewall, by priority; a VPC without one asks freely."""

    def group(self, name: str) -> Group:
        """The one security group of that role.  Raises InputError."""
        found = [group for group in self.groups.values() if group.name in (name, ROLES + name)]
        if len(found) != 1:
            known = ", ".join(sorted(group.name for group in self.groups.values()))
            raise InputError(f"The template has {len(found)} security groups named {name}, among {known}.")
        return found[0]

    def isolated(self, vpc: str) -> Sequence[Subnet]:
        """Subnets of `vpc` without a route to the internet."""
        return [
            subnet
            for subnet in self.subnets.values()
            if subnet.vpc == vpc and all(route.target != "internet" for route in subnet.routes)
        ]


def read_template(template: Properties, known: Mapping[str, str] = {}) -> Network:
    """The networks of a template, as `json.load` gives it.

    `known` is what a deployment has filled in: pseudo parameters and exports by name.  An export that is not
    there reads `import:<name>`.  Raises InputError for another value that would need a deployment.
    """
    return _Reader(template, known).network()


class _Reader:
    def __init__(self, template: Properties, known: Mapping[str, str]) -> None:
        self._resources = _mapping(template.get("Resources"), "Resources")
        parameters = {
            name: str(_mapping(parameter, name).get("Default", ""))
            for name, parameter in _mapping(template.get("Parameters") or {}, "Parameters").items()
        }
        self._values = {**PSEUDO_PARAMETERS, **parameters, **known}
        self._exports = known

    def network(self) -> Network:
        vpcs = {key: IPv4Network(self._text(p["CidrBlock"])) for key, p in self._all("AWS::EC2::VPC")}
        return Network(
            vpcs=vpcs,
            subnets=self._subnets(vpcs),
            groups=self._groups(),
            endpoints={key: self._endpoint(key, p) for key, p in self._all("AWS::EC2::VPCEndpoint")},
            interfaces=tuple(
                Interface(
                    self._text(p["SubnetId"]),
                    self._text(p["PrivateIpAddress"]),
                    self._texts(p.get("GroupSet")),
                )
                for _, p in self._all("AWS::EC2::NetworkInterface")
                if "PrivateIpAddress" in p
            ),
            name_rules=self._name_rules(),
        )

    def _all(self, kind: str) -> Sequence[tuple[str, Properties]]:
        return [
            (key, _mapping(_mapping(resource, key).get("Properties") or {}, key))
            for key, resource in self._resources.items()
            if _mapping(resource, key).get("Type") == kind
        ]

    def _subnets(self, vpcs: Mapping[str, IPv4Network]) -> Mapping[str, Subnet]:
        tables: dict[str, list[Route]] = {key: [] for key, _ in self._all("AWS::EC2::RouteTable")}
        for _, p in self._all("AWS::EC2::Route"):
            tables[self._text(p["RouteTableId"])].append(self._route(p))
        for _, p in self._all("AWS::EC2::VPCEndpoint"):
            for table in self._texts(p.get("RouteTableIds")):
                tables[table].append(Route(self._text(p["ServiceName"]), "endpoint"))
        table_of = {
            self._text(p["SubnetId"]): self._text(p["RouteTableId"])
            for _, p in self._all("AWS::EC2::SubnetRouteTableAssociation")
        }
        subnets = {}
        for key, p in self._all("AWS::EC2::Subnet"):
            vpc = self._text(p["VpcId"])
            routes = [Route(str(vpcs[vpc]), "local"), *tables.get(table_of.get(key, ""), [])]
            subnets[key] = Subnet(key, vpc, IPv4Network(self._text(p["CidrBlock"])), tuple(routes))
        return subnets

    def _route(self, p: Properties) -> Route:
        if "VpcPeeringConnectionId" in p:
            target = "peering"
        elif "GatewayId" in p or "NatGatewayId" in p:
            target = "internet"
        else:
            raise InputError(f"A route leads to a device that the lab does not know: {sorted(p)}.")
        return Route(self._text(p["DestinationCidrBlock"]), target)

    def _groups(self) -> Mapping[str, Group]:
        into: dict[str, list[Rule]] = {}
        out_of: dict[str, list[Rule]] = {}
        properties = dict(self._all("AWS::EC2::SecurityGroup"))
        for key, p in properties.items():
            into[key] = [self._rule(rule) for rule in _list(p.get("SecurityGroupIngress"))]
            # Without a word about egress, AWS adds a rule that lets everything out.
            everything: Json = [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]
            out_of[key] = [self._rule(rule) for rule in _list(p.get("SecurityGroupEgress", everything))]
        for kind, rules in (("Ingress", into), ("Egress", out_of)):
            for key, p in self._all(f"AWS::EC2::SecurityGroup{kind}"):
                group = self._text(p["GroupId"])
                if group in rules:
                    rules[group].append(self._rule(p))
                elif not group.startswith("default:"):
                    raise InputError(f"{key} belongs to a security group outside this template: {group}.")
        return {
            key: Group(key, _HASH.sub("", key), self._text(p["VpcId"]), tuple(into[key]), tuple(out_of[key]))
            for key, p in properties.items()
        }

    def _rule(self, rule: Json) -> Rule:
        p = _mapping(rule, "a rule of a security group")
        keys = (
            "CidrIp", "CidrIpv6", "SourceSecurityGroupId", "DestinationSecurityGroupId",
            "SourcePrefixListId", "DestinationPrefixListId",
        )  # fmt: skip
        peers = [self._text(p[key]) for key in keys if key in p]
        if len(peers) != 1:
            raise InputError(f"A rule of a security group names {len(peers)} peers: {sorted(p)}.")
        ports = (int(str(p["FromPort"])), int(str(p["ToPort"]))) if "FromPort" in p else None
        return Rule(str(p["IpProtocol"]), ports, peers[0])

    def _endpoint(self, key: str, p: Properties) -> Endpoint:
        return Endpoint(
            key,
            self._text(p["ServiceName"]),
            p.get("VpcEndpointType", "Gateway") == "Gateway",
            self._texts(p.get("SubnetIds")),
            self._texts(p.get("SecurityGroupIds")),
        )

    def _name_rules(self) -> Mapping[str, tuple[NameRule, ...]]:
        kind = "AWS::Route53Resolver::Firewall"
        domains = {key: self._texts(p.get("Domains")) for key, p in self._all(f"{kind}DomainList")}
        groups = {key: _list(p.get("FirewallRules")) for key, p in self._all(f"{kind}RuleGroup")}
        rules: dict[str, tuple[NameRule, ...]] = {}
        for _, p in self._all(f"{kind}RuleGroupAssociation"):
            group = groups[self._text(p["FirewallRuleGroupId"])]
            found = [self._name_rule(_mapping(rule, "a DNS rule"), domains) for rule in group]
            vpc = self._text(p["VpcId"])
            rules[vpc] = tuple(sorted([*rules.get(vpc, ()), *found], key=lambda rule: rule.priority))
        return rules

    def _name_rule(self, p: Properties, domains: Mapping[str, tuple[str, ...]]) -> NameRule:
        names = domains[self._text(p["FirewallDomainListId"])]
        return NameRule(int(str(p["Priority"])), str(p["Action"]), names)

    def _texts(self, value: Json) -> tuple[str, ...]:
        return tuple(self._text(one) for one in _list(value))

    def _text(self, value: Json) -> str:
        """A literal, or the logical key or text that an intrinsic function stands for."""
        if isinstance(value, str | int):
            return str(value)
        if isinstance(value, Mapping) and len(value) == 1:
            ((function, argument),) = value.items()
            return self._call(function, argument)
        raise InputError(f"The lab cannot read {value!r}.")

    def _call(self, function: str, argument: Json) -> str:
        if function == "Ref":
            return self._values.get(str(argument), str(argument))
        if function == "Fn::GetAtt":
            key, attribute = [str(one) for one in _list(argument)]
            if attribute == "DefaultSecurityGroup":
                return f"default:{key}"
            # A resource is named by its logical id; anything else only a deployment knows.
            return key if attribute in _IDENTITIES else f"{key}.{attribute}"
        if function == "Fn::Join":
            separator, parts = _list(argument)
            return str(separator).join(self._texts(parts))
        if function == "Fn::Sub" and isinstance(argument, str):
            for name, replacement in self._values.items():
                argument = argument.replace(f"${{{name}}}", replacement)
            return argument
        if function == "Fn::ImportValue":
            name = self._text(argument)
            return self._exports.get(name, f"import:{name}")
        if function == "Fn::FindInMap":
            return "map:" + "/".join(self._texts(argument))
        raise InputError(f"The lab cannot read {function} of {argument!r}.")


def _mapping(value: Json, where: str) -> Properties:
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is no object.")
    return value


def _list(value: Json) -> Sequence[Json]:
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"The lab cannot read {value!r}: a list was expected.")
    return value
