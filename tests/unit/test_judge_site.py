"""The judge, for tickets of web sites: tunnels to the ticket's addresses and ports, nothing else."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squid.helpers.judge_request import judge
from tests.tickets import ACCOUNT_TICKET, NOW, SCAN, SITE_TICKET, question

ANSWER = judge("site", lambda: NOW)


def tunnel(
    host: str, port: str = "443", *, user: str = SITE_TICKET.user, method: str = "CONNECT"
) -> list[str]:
    return question(f"{host}:{port}", method=method, host=host, port=port, user=user, signature="-")


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("93.184.216.34", "443"),
        ("93.184.216.34", "80"),
        ("[2606:2800:220:1::1]", "443"),
        ("%5B2606:2800:220:1::1%5D", "443"),
        ("[2606:2800:220:0001:0:0:0:1]", "80"),
    ],
)
def test_a_tunnel_to_the_tickets_address_is_let_through(host: str, port: str) -> None:
    assert ANSWER(tunnel(host, port)).line(b"0") == f"0 OK clt_conn_tag={SCAN}\n".encode()


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("site_name", tunnel("www.example.com")),
        ("site_name", tunnel("example.com")),
        ("site_name", tunnel("093.184.216.34")),
        ("site_name", tunnel("0x5db8d822")),
        ("site_name", tunnel("1572395042")),
        ("site_name", tunnel("93.184.55330")),
        ("site_name", tunnel("[93.184.216.34")),
        ("site_name", tunnel("%255B2606:2800:220:1::1%255D")),
        ("foreign_address", tunnel("93.184.216.35")),
        ("foreign_address", tunnel("169.254.169.254")),
        ("foreign_address", tunnel("127.0.0.1")),
        ("foreign_address", tunnel("[::ffff:93.184.216.34]")),
        ("foreign_address", tunnel("[2606:2800:220:1::1%eth0]")),
        ("foreign_address", tunnel("[::1]")),
        ("foreign_port", tunnel("93.184.216.34", "22")),
        ("foreign_port", tunnel("93.184.216.34", "0443")),
        ("foreign_port", tunnel("93.184.216.34", "4430")),
        ("foreign_port", tunnel("93.184.216.34", "-")),
        ("site_method", tunnel("93.184.216.34", method="GET")),
        ("wrong_profile", tunnel("93.184.216.34", user=ACCOUNT_TICKET.user)),
        ("ticket_malformed", tunnel("93.184.216.34", user=SITE_TICKET.user + SITE_TICKET.user)),
        ("line_malformed", tunnel("93.184.216.34")[:-1]),
        ("line_malformed", [*tunnel("93.184.216.34"), "x"]),
        ("line_malformed", [*tunnel("93.184.216.34"), "-", "-"]),
        ("line_malformed", []),
    ],
)
def test_anything_else_is_refused_by_its_reason(reason: str, fields: list[str]) -> None:
    assert ANSWER(fields).reason == reason


def test_squids_empty_data_behind_the_fields_is_ignored() -> None:
    assert not ANSWER([*tunnel("93.184.216.34"), "-"]).reason


@given(st.ip_addresses(), st.integers(0, 70_000))
def test_no_other_address_and_port_is_ever_let_through(address: object, port: int) -> None:
    host = f"[{address}]" if ":" in str(address) else str(address)
    ours = str(address) in {"93.184.216.34", "2606:2800:220:1::1"} and port in {80, 443}
    assert bool(ANSWER(tunnel(host, str(port))).reason) is not ours


@given(
    st.text(alphabet=string.printable, min_size=1, max_size=60).filter(
        lambda host: "93.184.216.34" not in host
    )
)
def test_no_host_breaks_the_judge(host: str) -> None:
    assert ANSWER(tunnel(host)).reason
