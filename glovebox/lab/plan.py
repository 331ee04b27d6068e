"""Which machines the lab has, where they stand in the template's networks, and what they may reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

from glovebox.errors import InputError
from glovebox.lab.template import Group, Network, Subnet

SCANNER, NEIGHBOUR, TICKETLESS = "scanner", "neighbour", "ticketless"
GATEWAY, BYSTANDER = "gateway", "bystander"
ENDPOINT, S3, RESOLVER, INTERNET = "endpoint", "s3", "resolver", "internet"

TASKS, TASKS_WITHOUT_TICKET, GATEWAY_GROUP, ENDPOINTS = "Tasks", "TasksWithoutTicket", "Gateway", "Endpoints"
"""The names of the security groups in the construct tree."""

S3_ADDRESS = "52.216.10.10"
DYNAMODB_ADDRESS = "52.94.10.10"
SERVICE_ADDRESSES = {"s3": S3_ADDRESS, "dynamodb": DYNAMODB_ADDRESS}
"""Gateway endpoints are reached by the public addresses of their service, as its prefix list has them."""
ORIGIN_ADDRESS = "52.46.10.10"
"""Where allowed names lead to."""
EVIL_ADDRESS = "45.66.66.66"
"""The attacker's own server."""
PUBLIC_RESOLVER = "9.9.9.9"
NAME_SERVER = "45.66.66.53"
"""Answers for the whole internet of the lab, the attacker's zones among them."""
METADATA_ADDRESSES = ("169.254.169.254", "169.254.170.2")
LINK_RESOLVER = "169.254.169.253"
EVIL_IPV6 = "2606:4700::66"
SCANNER_IPV6 = "fd00:42::10"
"""The VPC has no IPv6 at all; the lab gives the scanner an address, so that its attempts leave it."""
TASK_HOST, BYSTANDER_HOST, ENDPOINT_HOST = 10, 12, 40
"""Hosts within their subnet: AWS keeps the first four addresses to itself."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Machine:
    """One namespace.  Without `groups` nothing filters it, as with a service of AWS or the internet."""

    name: str
    addresses: tuple[str, ...]
    networks: tuple[str, ...] = ("0.0.0.0/0",)
    """What its subnet has a route to."""
    groups: tuple[Group, ...] | None = None
    ipv6: str | None = None
    holds: str | None = None
    """A whole network whose addresses are all its own."""

    @property
    def address(self) -> str:
        return self.addresses[0]


@dataclass(frozen=True, slots=True)
class Plan:
    machines: Mapping[str, Machine]
    network: Network
    scan_vpc: str
    egress_vpc: str

    def members(self, group: str) -> Sequence[str]:
        """Addresses of the machines in a security group, by its logical id."""
        return [
            machine.address
            for machine in self.machines.values()
            if any(one.id == group for one in machine.groups or ())
        ]


def place(
    network: Network, *, tasks_at_once: int = 2, ticketless_at_once: int = 1, servers: str | None = None
) -> Plan:
    """Machines for each role of the perimeter.  Raises InputError where the template lacks a role.

    `tasks_at_once` machines stand where tasks do (`task_machines` names them), `ticketless_at_once` where
    those do that have no ticket (`ticketless_machines`), and the internet holds all addresses of the network
    `servers`.
    """
    tasks, gateway = network.group(TASKS), network.group(GATEWAY_GROUP)
    inside = _first(network.isolated(tasks.vpc), "an isolated subnet for scanners")
    # With a gateway in each zone, the lab builds the first.
    interface = _first(
        [one for one in network.interfaces if gateway.id in one.groups], "a network interface of the gateway"
    )
    outside = network.subnets[interface.subnet]
    closed = Group("bystander", "Bystander", gateway.vpc, (), ())
    resolvers = [str(network.vpcs[vpc].network_address + 2) for vpc in (tasks.vpc, gateway.vpc)]
    machines = (
        *(
            _inhabitant(name, inside, TASK_HOST + number, (tasks,), SCANNER_IPV6 if number == 0 else None)
            for number, name in enumerate(task_machines(tasks_at_once))
        ),
        *(
            _inhabitant(name, inside, ENDPOINT_HOST - 1 - number, (network.group(TASKS_WITHOUT_TICKET),))
            for number, name in enumerate(ticketless_machines(ticketless_at_once))
        ),
        Machine(GATEWAY, (interface.address,), _networks(outside), (gateway,)),
        _inhabitant(BYSTANDER, outside, BYSTANDER_HOST, (closed,)),
        _interface_endpoint(network),
        Machine(S3, (S3_ADDRESS, DYNAMODB_ADDRESS)),
        Machine(RESOLVER, (*resolvers, LINK_RESOLVER)),
        Machine(
            INTERNET,
            (EVIL_ADDRESS, ORIGIN_ADDRESS, NAME_SERVER, PUBLIC_RESOLVER, *METADATA_ADDRESSES),
            ipv6=EVIL_IPV6,
            holds=servers,
        ),
    )
    return Plan({machine.name: machine for machine in machines}, network, tasks.vpc, gateway.vpc)


def task_machines(tasks_at_once: int) -> tuple[str, ...]:
    """`scanner`, `neighbour`, and more where more tasks run at once."""
    more = (f"scanner{number}" for number in range(3, tasks_at_once + 1))
    return (SCANNER, NEIGHBOUR, *more)[:tasks_at_once]


def ticketless_machines(tasks_at_once: int) -> tuple[str, ...]:
    """`ticketless`, and more where more tasks without a ticket run at once."""
    more = (f"{TICKETLESS}{number}" for number in range(2, tasks_at_once + 1))
    return (TICKETLESS, *more)[:tasks_at_once]


def peer_addresses(plan: Plan, peer: str) -> Sequence[str]:
    """The addresses that a rule's peer stands for: a CIDR, a group's members, or a prefix list's services."""
    try:
        return [str(IPv4Network(peer))]
    except ValueError:
        pass
    if peer in plan.network.groups:
        return plan.members(peer)
    services = [address for name, address in SERVICE_ADDRESSES.items() if name in peer.lower()]
    if not services:
        raise InputError(f"The lab does not know who {peer} is, in a rule of a security group.")
    return services


def _inhabitant(
    name: str, subnet: Subnet, host: int, groups: tuple[Group, ...], ipv6: str | None = None
) -> Machine:
    return Machine(name, (_address(subnet, host),), _networks(subnet), groups, ipv6)


def _interface_endpoint(network: Network) -> Machine:
    """One machine for all interface endpoints: they share their security group."""
    endpoints = [endpoint for endpoint in network.endpoints.values() if not endpoint.gateway]
    first = _first(endpoints, "an interface endpoint")
    groups = tuple(network.groups[key] for key in first.groups)
    subnet = network.subnets[_first(first.subnets, "a subnet of an interface endpoint")]
    return _inhabitant(ENDPOINT, subnet, ENDPOINT_HOST, groups)


def _networks(subnet: Subnet) -> tuple[str, ...]:
    found = []
    for route in subnet.routes:
        if route.target == "endpoint":
            found += [
                address for name, address in SERVICE_ADDRESSES.items() if f".{name}" in route.destination
            ]
        else:
            found.append(route.destination)
    return tuple(found)


def _address(subnet: Subnet, host: int) -> str:
    address: IPv4Address = subnet.network.network_address + host
    if address not in subnet.network:
        raise InputError(f"Subnet {subnet.id} ({subnet.network}) has no room for the lab's machines.")
    return str(address)


def _first(things: Sequence[_T], what: str) -> _T:
    if not things:
        raise InputError(f"The template has no {what.removeprefix('an ').removeprefix('a ')}.")
    return things[0]
