"""IAM policies, security groups and routes as formulas, so that a claim holds for all requests or is refuted.

A request is an action, a resource and context keys, each there or not and with any value; nothing ties one
key to another, so what is proven holds in AWS as well, where fewer combinations exist.  How operators treat
a missing key: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
What is not understood raises: a statement that is skipped would be a proof of something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network
from typing import Any

import z3

Statement = dict[str, Any]
SECONDS = 5
SEEDS = range(24)
"""What z3 answers in milliseconds it now and then never finds from another beginning."""


def refuted_by(*claims: z3.BoolRef) -> z3.ModelRef | None:
    """A case in which all of these hold, or None where there is none.  Raises where z3 cannot tell."""
    for seed in SEEDS:
        solver = z3.Solver()
        # What is decided at all is decided soon; a longer patience comes after all short ones.
        solver.set("timeout", (1 if seed < len(SEEDS) // 2 else SECONDS) * 1_000)
        solver.set("random_seed", seed)
        solver.add(*claims)
        verdict = solver.check()
        if verdict != z3.unknown:
            return solver.model() if verdict == z3.sat else None
    raise AssertionError(f"z3 cannot tell: {solver.reason_unknown()}")


def _any(options: Iterable[z3.BoolRef]) -> z3.BoolRef:
    return z3.Or(*options)


def fits(value: z3.SeqRef, pattern: str) -> z3.BoolRef:
    """Whether a text fits a pattern of IAM, where `*` is any text and `?` any character."""
    if not set("*?") & set(pattern):
        return value == z3.StringVal(pattern)
    if pattern.endswith("*") and not set("*?") & set(pattern[:-1]):
        # As below, and sooner decided.
        return z3.PrefixOf(z3.StringVal(pattern[:-1]), value)
    one = z3.AllChar(z3.ReSort(z3.StringSort()))
    parts = [z3.Star(one) if c == "*" else one if c == "?" else z3.Re(c) for c in pattern]
    return z3.InRe(value, z3.Concat(*parts) if len(parts) > 1 else parts[0])


def within(address: z3.BitVecRef, cidr: str) -> z3.BoolRef:
    network = IPv4Network(cidr)
    mask = z3.BitVecVal(int(network.netmask), 32)
    return address & mask == z3.BitVecVal(int(network.network_address), 32)


class Request:
    """Any request at all."""

    def __init__(self) -> None:
        self.action, self.resource = z3.String("action"), z3.String("resource")
        self.source = z3.BitVec("aws:SourceIp", 32)

    def has(self, key: str) -> z3.BoolRef:
        return z3.Bool(f"has {key}")

    def value(self, key: str) -> z3.SeqRef:
        return z3.String(key)

    def equals(self, key: str, *values: str) -> z3.BoolRef:
        """The key is there, and is one of these."""
        return z3.And(self.has(key), _any(self.value(key) == z3.StringVal(each) for each in values))

    def let_pass(self, statements: Sequence[Statement], *claims: z3.BoolRef) -> z3.ModelRef | None:
        """A request that the statements allow and of which the claims hold, or None.

        Each statement, action and resource is asked about by itself: together they mean the same, but take z3
        minutes instead of milliseconds.
        """
        denied = self.denied(statements)
        for statement in statements:
            if statement["Effect"] != "Allow":
                continue
            for action in _listed(statement["Action"]):
                for resource in _listed(statement["Resource"]):
                    way = self._applies({**statement, "Action": action, "Resource": resource})
                    found = refuted_by(way, z3.Not(denied), *claims)
                    if found is not None:
                        return found
        return None

    def denied(self, statements: Sequence[Statement]) -> z3.BoolRef:
        return _any(self._applies(each) for each in statements if each["Effect"] == "Deny")

    def _applies(self, statement: Statement) -> z3.BoolRef:
        unknown = statement.keys() - {
            "Sid", "Effect", "Principal", "Action", "Resource", "NotResource", "Condition"
        }  # fmt: skip
        assert not unknown, unknown
        # A principal that is named would admit fewer; the policies of endpoints name all.
        assert statement.get("Principal", "*") in ("*", {"AWS": "*"})
        hits = [_any(fits(self.action, each) for each in _listed(statement["Action"]))]
        if "Resource" in statement:
            hits.append(_any(fits(self.resource, each) for each in _listed(statement["Resource"])))
        hits.extend(z3.Not(fits(self.resource, each)) for each in _listed(statement.get("NotResource", [])))
        for operator, conditions in statement.get("Condition", {}).items():
            for key, values in conditions.items():
                hits.append(self._condition(operator, key, _listed(values)))
        return z3.And(*hits)

    def _condition(self, operator: str, key: str, values: Sequence[str]) -> z3.BoolRef:
        if operator == "Null":
            [value] = values
            return z3.Not(self.has(key)) if value == "true" else self.has(key)
        # Of a key with many values the request stands for each one; without any, "for all" holds.
        every = operator.removeprefix("ForAllValues:")
        if every != operator:
            return z3.Or(z3.Not(self.has(key)), self._condition(every, key, values))
        name = operator.removesuffix("IfExists")
        holds = self._compare(name, key, values)
        negated = "Not" in name
        if negated:
            holds = z3.Not(holds)
        if negated or operator.endswith("IfExists"):
            return z3.Or(z3.Not(self.has(key)), holds)
        return z3.And(self.has(key), holds)

    def _compare(self, name: str, key: str, values: Sequence[str]) -> z3.BoolRef:
        kind = name.replace("Not", "")
        if kind == "IpAddress":
            assert key == "aws:SourceIp", key
            return _any(within(self.source, each) for each in values)
        if kind in ("StringEquals", "Bool"):
            return _any(self.value(key) == z3.StringVal(each) for each in values)
        # ARNs are compared part by part, in which `*` spans no colon; text lets through more, so proves more.
        assert kind in ("StringLike", "ArnLike", "ArnEquals"), name
        return _any(fits(self.value(key), each) for each in values)


class Packet:
    """Any packet that a task may send: protocol, port, and where to."""

    def __init__(self) -> None:
        self.protocol, self.port = z3.String("protocol"), z3.Int("port")
        self.address = z3.BitVec("destination", 32)
        self.group, self.prefix_list = z3.String("group"), z3.String("prefix list")

    def let_out(self, rules: Sequence[dict[str, Any]] | None) -> z3.BoolRef:
        """By a security group.  Without a word about egress, AWS lets everything out."""
        return z3.BoolVal(True) if rules is None else _any(self._let(rule) for rule in rules)

    def _let(self, rule: dict[str, Any]) -> z3.BoolRef:
        keys = ("CidrIp", "DestinationSecurityGroupId", "DestinationPrefixListId")
        [key] = [each for each in keys if each in rule]
        there = {
            "CidrIp": lambda: within(self.address, rule[key]),
            "DestinationSecurityGroupId": lambda: self.group == z3.StringVal(rule[key]),
            "DestinationPrefixListId": lambda: self.prefix_list == z3.StringVal(rule[key]),
        }[key]()
        if rule["IpProtocol"] == "-1":
            return there
        same = self.protocol == z3.StringVal(rule["IpProtocol"])
        return z3.And(there, same, self.port >= rule["FromPort"], self.port <= rule["ToPort"])

    def routed(self, destinations: Iterable[str]) -> z3.BoolRef:
        return _any(within(self.address, each) for each in destinations)

    def to(self, addresses: Iterable[str], ports: Iterable[int]) -> z3.BoolRef:
        at = _any(within(self.address, f"{each}/32") for each in addresses)
        return z3.And(at, self.protocol == z3.StringVal("tcp"), _any(self.port == each for each in ports))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
