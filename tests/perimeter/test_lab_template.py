"""What the lab reads from a template, and the rules that it makes of it; no namespaces needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from glovebox.errors import InputError
from glovebox.lab.journal import Journal
from glovebox.lab.lab import CHECKOUT
from glovebox.lab.names import Resolver
from glovebox.lab.packets import parse
from glovebox.lab.plan import GATEWAY, NEIGHBOUR, S3_ADDRESS, SCANNER, place
from glovebox.lab.rules import render
from glovebox.lab.template import Json, NameRule, Network, read_template
from tests.perimeter.small_perimeter import small_perimeter


def resources(template: dict[str, Json]) -> dict[str, Json]:
    return cast("dict[str, Json]", template["Resources"])


def properties(template: dict[str, Json], name: str) -> dict[str, Json]:
    return cast("dict[str, Json]", cast("Mapping[str, Json]", resources(template)[name])["Properties"])


def chain(rules: str, name: str) -> str:
    return rules.partition(f"chain {name} {{")[2].partition("\n  }")[0]


def test_machines_stand_where_the_template_puts_them() -> None:
    plan = place(read_template(small_perimeter()))
    assert plan.machines[SCANNER].address == "10.42.0.10"
    assert plan.machines[GATEWAY].address == "10.43.0.10"
    assert plan.machines[SCANNER].networks == ("10.42.0.0/20", "10.43.0.0/24", S3_ADDRESS)


def test_a_rule_of_the_template_becomes_one_of_the_router() -> None:
    rules = render(place(read_template(small_perimeter())))
    assert "ip daddr { 10.43.0.10 } meta l4proto tcp th dport 3128-3128 return" in chain(
        rules, "from_scanner"
    )
    assert "3128" not in chain(rules, "from_ticketless")
    assert "ip saddr { 10.42.0.10, 10.42.0.11 } meta l4proto tcp th dport 3128-3128 return" in chain(
        rules, "to_gateway"
    )


def test_a_port_that_the_template_opens_more_is_open_in_the_lab() -> None:
    template = small_perimeter()
    egress = cast("list[Json]", properties(template, "Tasks")["SecurityGroupEgress"])
    egress.append({"IpProtocol": "udp", "FromPort": 53, "ToPort": 55, "CidrIp": "192.0.2.0/24"})
    rules = render(place(read_template(template)))
    assert "ip daddr { 192.0.2.0/24 } meta l4proto udp th dport 53-55 return" in chain(rules, "from_scanner")


def test_a_group_without_a_word_on_egress_lets_everything_out_as_in_aws() -> None:
    template = small_perimeter()
    del properties(template, "TasksWithoutTicket")["SecurityGroupEgress"]
    rules = render(place(read_template(template)))
    assert "ip daddr 0.0.0.0/0 return" in chain(rules, "from_ticketless")


def test_a_route_to_the_internet_is_not_an_isolated_subnet() -> None:
    template = small_perimeter()
    resources(template)["Leak"] = {
        "Type": "AWS::EC2::Route",
        "Properties": {
            "RouteTableId": {"Ref": "IsolatedTable"},
            "DestinationCidrBlock": "0.0.0.0/0",
            "GatewayId": {"Ref": "Igw"},
        },
    }
    with pytest.raises(InputError, match="isolated subnet"):
        place(read_template(template))


@pytest.mark.parametrize("missing", ["Tasks", "Gateway", "GatewayInterface", "Logs", "Isolated"])
def test_a_template_without_a_part_of_the_perimeter_is_refused(missing: str) -> None:
    template = small_perimeter()
    del resources(template)[missing]
    with pytest.raises((InputError, KeyError)):
        place(read_template(template))


def test_a_value_that_only_a_deployment_knows_is_refused_and_not_skipped() -> None:
    template = small_perimeter()
    properties(template, "ScanVpc")["CidrBlock"] = {"Fn::Cidr": ["10.0.0.0/8", 1, 8]}
    with pytest.raises(InputError, match="Fn::Cidr"):
        read_template(template)


def test_a_rule_for_somebody_unknown_is_refused_and_not_skipped() -> None:
    template = small_perimeter()
    egress = cast("list[Json]", properties(template, "Tasks")["SecurityGroupEgress"])
    egress.append({"IpProtocol": "-1", "DestinationPrefixListId": "pl-12345678"})
    with pytest.raises(InputError, match="pl-12345678"):
        render(place(read_template(template)))


def test_the_name_firewall_is_read_in_the_order_of_its_priorities() -> None:
    network = read_template(small_perimeter())
    assert [rule.action for rule in network.name_rules["ScanVpc"]] == ["ALLOW", "BLOCK"]
    assert network.name_rules["ScanVpc"][0].domains == ("logs.us-east-1.amazonaws.com",)


def test_a_resolver_blocks_what_its_firewall_names_and_says_so(tmp_path: Path) -> None:
    plan = place(read_template(small_perimeter()))
    rules = (NameRule(100, "BLOCK", ("*.evil.example",)), NameRule(200, "BLOCK", ("*",)))
    journal = tmp_path / "queries"
    resolver = Resolver({plan.network.vpcs["ScanVpc"]: rules}, Journal(journal))
    question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01x\x04evil\x07example\0\0\x01\0\x01"
    answer = resolver.reply(question, "10.42.0.10")
    assert answer is not None
    assert answer[:2] == question[:2]
    assert answer[3] & 15 == 3, "no such name"
    assert '"action": "BLOCK"' in journal.read_text()


def test_packets_are_read_as_far_as_a_flow_log_does() -> None:
    syn = bytes.fromhex("4500002800004000400600000a2a000a2d424242c00001bb" + "00" * 8 + "50020000" + "00" * 4)
    packet = parse(syn)
    assert packet is not None
    assert (packet.protocol, packet.source, packet.target, packet.port) == (
        "tcp",
        "10.42.0.10",
        "45.66.66.66",
        443,
    )
    assert packet.opens
    answer = parse(syn[:33] + b"\x12" + syn[34:])
    assert answer is not None
    assert not answer.opens
    assert parse(b"") is None
    assert parse(b"\x45\0") is None


def test_a_neighbour_stands_beside_the_scanner(network: Network) -> None:
    """On the real stack: the same group, another address."""
    machines = place(network).machines
    assert machines[SCANNER].groups == machines[NEIGHBOUR].groups
    assert machines[SCANNER].address != machines[NEIGHBOUR].address


def test_the_checkout_is_the_one_under_test() -> None:
    assert Path(__file__).is_relative_to(CHECKOUT)
