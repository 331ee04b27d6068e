"""The router between the machines, as nftables: routes first, then the sender's rules, then the receiver's.

A connection passes as it does in a VPC: the sender's subnet has a route, a rule of one of the sender's
security groups lets it out, and a rule of one of the receiver's lets it in; its answers follow by state.
Everything else is dropped and logged (NFLOG), with the reason as prefix: the lab's flow log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from glovebox.lab.plan import LINK_RESOLVER, RESOLVER, Machine, Plan, peer_addresses
from glovebox.lab.template import Rule

LOG_GROUP = 42
"""The NFLOG group that the witness listens to."""
TABLE = "perimeter"


def render(plan: Plan) -> str:
    """The whole rule set of the router, as `nft -f` reads it."""
    machines = list(plan.machines.values())
    chains = [_forward(machines), _input()]
    for machine in machines:
        if machine.groups is not None:
            chains += [_outward(plan, machine), _inward(plan, machine)]
    return f"table inet {TABLE} {{\n" + "\n".join(chains) + "\n}\n"


def _forward(machines: Sequence[Machine]) -> str:
    guarded = [machine.name for machine in machines if machine.groups is not None]
    senders = ", ".join(f'"{name}" : jump from_{name}' for name in guarded)
    receivers = ", ".join(f'"{name}" : jump to_{name}' for name in guarded)
    return _chain(
        "forward",
        "type filter hook forward priority filter; policy drop;",
        "ct state established,related accept",
        f"iifname vmap {{ {senders} }}",
        f"oifname vmap {{ {receivers} }}",
        "accept",
    )


def _input() -> str:
    """The router itself serves nobody; IPv6 needs its neighbour discovery (RFC 4861)."""
    neighbours = "{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }"
    return _chain(
        "input",
        "type filter hook input priority filter; policy drop;",
        'iifname "lo" accept',
        f"icmpv6 type {neighbours} accept",
        _drop("router"),
    )


def _outward(plan: Plan, machine: Machine) -> str:
    resolver = [*plan.machines[RESOLVER].addresses, LINK_RESOLVER]
    return _chain(
        f"from_{machine.name}",
        f"meta nfproto ipv6 {_drop('no-ipv6')}",
        # AWS drops what does not carry the interface's own address.
        f"ip saddr != {_set(machine.addresses)} {_drop('spoofed')}",
        # Security groups do not filter the resolver of the VPC: the DNS firewall has to.
        f"ip daddr {_set(resolver)} meta l4proto {{ tcp, udp }} th dport 53 return",
        f"ip daddr != {_set(machine.networks)} {_drop('no-route')}",
        *(
            line
            for group in machine.groups or ()
            for rule in group.egress
            for line in _passing(plan, "daddr", rule)
        ),
        _drop("egress"),
    )


def _inward(plan: Plan, machine: Machine) -> str:
    return _chain(
        f"to_{machine.name}",
        *(
            line
            for group in machine.groups or ()
            for rule in group.ingress
            for line in _passing(plan, "saddr", rule)
        ),
        _drop("ingress"),
    )


def _passing(plan: Plan, side: str, rule: Rule) -> Iterable[str]:
    addresses = peer_addresses(plan, rule.peer)
    if not addresses:
        return
    yield f"ip {side} {_set(addresses)} {_traffic(rule)} return".replace("  ", " ")


def _traffic(rule: Rule) -> str:
    if rule.protocol == "-1":
        return ""
    if rule.ports is None or rule.ports == (-1, -1):
        return f"meta l4proto {rule.protocol}"
    first, last = rule.ports
    if rule.protocol in ("icmp", "1"):  # For ICMP the two are type and code.
        return f"icmp type {first}" + (f" icmp code {last}" if last >= 0 else "")
    return f"meta l4proto {rule.protocol} th dport {first}-{last}"


def _drop(reason: str) -> str:
    return f'log prefix "{reason}" group {LOG_GROUP} drop'


def _set(addresses: Iterable[str]) -> str:
    """Without doubles and without networks that lie in others, which an interval set would refuse."""
    unique = list(dict.fromkeys(addresses))
    return "0.0.0.0/0" if "0.0.0.0/0" in unique else f"{{ {', '.join(unique)} }}"


def _chain(name: str, *lines: str) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"  chain {name} {{\n{body}\n  }}"
