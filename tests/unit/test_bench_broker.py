"""The bench calls functions as deployed, so it must tell them what a deployment tells them."""

from __future__ import annotations

from bench.broker import environment
from functions.launch.environment import Environment as Launch
from functions.redeem.environment import Environment as Redeem


def test_the_bench_tells_functions_all_that_they_need() -> None:
    told = {**environment(), "SUBNETS": "subnet-0badcafe"}
    assert Launch.read(told).snapshot_function
    assert Redeem.read(told).claims_bucket
