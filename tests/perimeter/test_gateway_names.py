"""Host names by Hypothesis: the daemon lets a name through exactly where a strict oracle does."""

from __future__ import annotations

import os
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.perimeter.attacks import S3
from tests.perimeter.gateway import ACCOUNT, BUCKET, HOSTS, Gateway, ask, aws_claims, connect_request

pytestmark = pytest.mark.squid

EXAMPLES = int(os.environ.get("FUZZ_NAMES", "2000"))
"""More by hand: FUZZ_NAMES=20000 make test PYTEST=tests/perimeter/test_gateway_names.py"""
LEADS_INSIDE = {"kms.us-east-1.amazonaws.com", "kms.eu-west-1.amazonaws.com"}
"""The test's zone sends these to private addresses."""
REGIONS = ("eu-west-1", "us-east-1", "us-west-2")
OURS = {f"{BUCKET}.s3.{region}.amazonaws.com" for region in REGIONS} | {
    f"{ACCOUNT}.s3-control.{region}.amazonaws.com" for region in REGIONS
}
WITHOUT_ACCOUNT = {f"s3-control.{region}.amazonaws.com" for region in REGIONS}
"""On the list for their regions' sake; the service itself is asked under an account's name only."""
ALLOWED = (set(HOSTS) | OURS) - LEADS_INSIDE - WITHOUT_ACCOUNT

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"
ODD = LETTERS + "._*@#%/\\?[]ABZ\u00e9\u3002\u0131"
"""Without the colon: what follows one is a port, and the attack table has those."""
ALIASES = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3")
label = st.text(LETTERS, min_size=1, max_size=12)
allowed = st.sampled_from(sorted(set(HOSTS) | OURS))


@st.composite
def changed(draw: st.DrawFn) -> str:
    """An allowed name with one thing put in, taken out or replaced."""
    name = draw(allowed)
    place = draw(st.integers(0, len(name)))
    end = place + draw(st.integers(0, 2))
    return name[:place] + draw(st.text(ODD, max_size=3)) + name[end:]


names = st.one_of(
    allowed,
    allowed.map(str.upper),
    changed(),
    st.builds("{}.{}".format, label, allowed),
    st.builds("{}.{}".format, allowed, label),
    st.builds("{}.s3.us-east-1.amazonaws.com".format, label),
    st.builds("{}{}.s3.us-east-1.amazonaws.com".format, label, st.sampled_from(ALIASES)),
    st.builds("{}.s3.eu-west-1.amazonaws.com".format, label),
    st.builds("{}.{}.us-east-1.amazonaws.com".format, label, label),
    st.builds("{}.amazonaws.com".format, st.text(ODD, max_size=20)),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    st.text(ODD, min_size=1, max_size=40),
)


ANY_BUCKET = re.compile(
    r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9-]{1,61}[a-z0-9](?<!-s3alias)(?<!--ol-s3)(?<!--x-s3)"
    r"(?<!--table-s3)\.s3\.us-east-1\.amazonaws\.com"
)
"""What a ticket for "account" opens besides: a bucket's own host at the gateway's S3."""
BUCKETS = {f"{BUCKET}.s3.{region}.amazonaws.com" for region in REGIONS}


def may_pass(name: str, *, named: bool) -> bool:
    """Strict: one of the names, in ASCII letters of either case (RFC 4343), and nothing else.

    But for dots at the end, the root's (RFC 1034, 3.1): Squid takes them off before anything is judged.
    """
    if not re.fullmatch(r"[A-Za-z0-9.-]+", name):
        return False
    plain = name.lower().rstrip(".")
    if named:
        return plain in ALLOWED
    return plain in ALLOWED - BUCKETS or bool(ANY_BUCKET.fullmatch(plain))


@pytest.mark.parametrize("end", [".", "...."])
def test_dots_at_the_end_change_neither_the_judgement_nor_the_destination(gateway: Gateway, end: str) -> None:
    ticket = gateway.signer.sign(aws_claims())
    for name, status in {"iam.amazonaws.com": 200, "evil.test": 407, f"x.{S3}": 407, "10.0.0.1": 407}.items():
        mark, asked = len(gateway.ledger()), len(gateway.names.asked)
        tunnel = ask(gateway, connect_request(f"{name}{end}:443", ticket))
        tunnel.connection.close()
        assert tunnel.status == status, name
        (line, *_) = gateway.lines_since(mark, lambda line: line["method"] == "CONNECT")
        assert line["host"] == name
        assert set(gateway.names.asked[asked:]) <= {"iam.amazonaws.com"}


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    database=None,
)
@given(name=names)
def test_the_daemon_and_the_oracle_agree_on_every_name(gateway: Gateway, name: str) -> None:
    times = {"iat": STARTED, "nbf": STARTED, "exp": STARTED + 900}
    for claims in (aws_claims(**times), aws_claims(**times, buckets="account")):
        tunnel = ask(gateway, connect_request(f"{name}:443", gateway.signer.sign(claims)))
        tunnel.connection.close()
        named = claims.buckets != "account"
        assert (tunnel.status == 200) == may_pass(name, named=named), (name, named, tunnel.head[:60])


STARTED = int(time.time()) - 60
"""The same two tickets for all examples, so that the daemon verifies them once a minute."""
