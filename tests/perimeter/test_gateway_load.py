"""The bench's client counts what the gateway let through, and nothing else."""

from __future__ import annotations

import os

import pytest

from bench.gateway import cpu_seconds
from bench.gateway_load import Job, Mode, Way, run
from bench.targets import at_least, at_most
from tests.perimeter.attacks import GOOD_URL, S3
from tests.perimeter.gateway import FOREIGN_KEY_ID, FOREIGN_SECRET, Gateway, aws_claims, connect_request
from tests.perimeter.signing import signed

SECONDS = 0.3


def through(gateway: Gateway) -> Way:
    ticket = gateway.signer.sign(aws_claims())
    return Way(
        address=gateway.places.gateway,
        port=3128,
        source=gateway.places.scanner,
        host=S3,
        authorities=gateway.authority,
        connect=connect_request(f"{S3}:443", ticket),
    )


def direct(gateway: Gateway) -> Way:
    return Way(
        address=gateway.places.origin,
        port=443,
        source=gateway.places.scanner,
        host=S3,
        authorities=str(gateway.folder / "upstream.pem"),
    )


@pytest.mark.squid
@pytest.mark.parametrize(("mode", "uncounted"), [("kept", 3), ("new", 0)])
def test_each_counted_request_reached_the_origin(gateway: Gateway, mode: Mode, uncounted: int) -> None:
    seen, connections = len(gateway.origin.seen), gateway.origin.connections
    job = Job(mode=mode, ways=[direct(gateway)], request=signed("GET", GOOD_URL), seconds=SECONDS, clients=3)
    (load,) = run(job)
    assert load.requests + uncounted == len(gateway.origin.seen) - seen
    opened = gateway.origin.connections - connections
    assert opened == (3 if mode == "kept" else load.requests)


@pytest.mark.squid
def test_two_ways_are_taken_in_turn(gateway: Gateway) -> None:
    seen = len(gateway.origin.seen)
    ways = [direct(gateway), through(gateway)]
    loads = run(Job(mode="new", ways=ways, request=signed("GET", GOOD_URL), seconds=SECONDS))
    assert loads[0].requests == loads[1].requests
    assert sum(load.requests for load in loads) == len(gateway.origin.seen) - seen


@pytest.mark.squid
def test_a_refused_request_ends_the_load(gateway: Gateway) -> None:
    foreign = signed("GET", GOOD_URL, key=FOREIGN_KEY_ID, secret=FOREIGN_SECRET)
    with pytest.raises(ConnectionError, match="403"):
        run(Job(mode="kept", ways=[through(gateway)], request=foreign, seconds=SECONDS))


def test_processor_time_is_that_of_a_process_with_its_children() -> None:
    before = sum(cpu_seconds(os.getpid()))
    while sum(os.times()[:2]) < before + 0.1:
        pass
    assert sum(cpu_seconds(os.getpid())) >= before + 0.05


def test_a_target_is_kept_up_to_its_limit() -> None:
    assert [at_most("x", value, 1).verdict for value in (1, 1.1, None)] == ["PASS", "FAIL", "not measured"]
    assert [at_least("x", value, 1).verdict for value in (1, 0.9, None)] == ["PASS", "FAIL", "not measured"]
