"""Templates and list prices in, a bill of an idle month out.

What is paid by use (requests, gigabytes, task seconds) is not in it.  A resource of a type that nobody priced
raises: a bill that leaves something out would be worse than none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias, cast

import msgspec

from glovebox.errors import ConfigurationError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Object: TypeAlias = dict[str, Json]
Quantity: TypeAlias = tuple[str, float]

TABLE = Path(__file__).with_name("list_prices.json")


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    usd: float
    """A month, of one."""
    free: float = 0
    """How many cost nothing."""


class PriceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    prices: dict[str, Price]
    paid_by_use: list[str]
    """Types, or patterns of types, that cost nothing while nothing happens."""

    @classmethod
    def load(cls) -> PriceTable:
        return msgspec.json.decode(TABLE.read_bytes(), type=cls)


class Line(msgspec.Struct, frozen=True):
    """One line of the bill."""

    what: str
    quantity: float
    usd: float
    """A month, of all of them, less those that are free."""


def estimate(templates: Iterable[Mapping[str, Json]], table: PriceTable) -> list[Line]:
    """The bill of an idle month, dearest line first, with every gateway running.

    Raises ConfigurationError for a resource that the table does not know.
    """
    counted: Counter[str] = Counter()
    for template in templates:
        resources = cast("dict[str, Object]", template["Resources"])
        for resource in resources.values():
            for what, quantity in _quantities(resource, resources, table):
                counted[what] += cast("int", quantity)
    lines = [_line(what, quantity, table) for what, quantity in counted.items()]
    return sorted(lines, key=lambda line: (-line.usd, line.what))


def _line(what: str, quantity: float, table: PriceTable) -> Line:
    price = table.prices.get(what)
    if price is None:
        raise ConfigurationError(f"Nobody priced {what!r}.", fix=f"Add it to {TABLE.name}.")
    return Line(what, quantity, round(max(0.0, quantity - price.free) * price.usd, 2))


def _quantities(resource: Object, resources: Mapping[str, Object], table: PriceTable) -> Iterator[Quantity]:
    kind = str(resource["Type"])
    properties = _object(resource.get("Properties"))
    if kind in _COUNTED:
        yield from _COUNTED[kind](properties)
    elif kind == "AWS::AutoScaling::AutoScalingGroup":
        yield from _instances(properties, resources)
    elif kind != "AWS::EC2::LaunchTemplate" and not any(
        fnmatchcase(kind, each) for each in table.paid_by_use
    ):
        raise ConfigurationError(f"Nobody priced {kind}.", fix=f"Add it to {TABLE.name}.")


def _instances(group: Object, resources: Mapping[str, Object]) -> Iterator[Quantity]:
    """A group counts as running, also where its image is not promoted yet."""
    named = _object(_object(group["LaunchTemplate"])["LaunchTemplateId"])["Ref"]
    data = _object(_object(resources[str(named)]["Properties"])["LaunchTemplateData"])
    running = max(1, int(str(group["MaxSize"])))
    yield str(data["InstanceType"]), running
    for disk in _list(data.get("BlockDeviceMappings")):
        yield "gp3 disk, per GB", running * int(str(_object(_object(disk)["Ebs"])["VolumeSize"]))


def _endpoint(properties: Object) -> Iterator[Quantity]:
    if properties.get("VpcEndpointType") == "Interface":
        yield "interface endpoint, per zone", len(_list(properties["SubnetIds"]))


def _each(what: str) -> Callable[[Object], Iterator[Quantity]]:
    def count(_: Object) -> Iterator[Quantity]:
        yield what, 1

    return count


def _domains(properties: Object) -> Iterator[Quantity]:
    yield "DNS Firewall domain", len(_list(properties["Domains"]))


_COUNTED: dict[str, Callable[[Object], Iterator[Quantity]]] = {
    "AWS::CloudWatch::Alarm": _each("alarm"),
    "AWS::CloudWatch::Dashboard": _each("dashboard"),
    "AWS::EC2::EIP": _each("public IPv4 address"),
    "AWS::EC2::NatGateway": _each("NAT gateway"),
    "AWS::EC2::VPCEndpoint": _endpoint,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _each("load balancer"),
    "AWS::KMS::Key": _each("KMS key"),
    "AWS::NetworkFirewall::Firewall": _each("Network Firewall endpoint"),
    "AWS::Route53Resolver::FirewallDomainList": _domains,
    "AWS::SecretsManager::Secret": _each("secret"),
}


def _object(value: Json) -> Object:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
