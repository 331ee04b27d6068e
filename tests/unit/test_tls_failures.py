"""`make_failure` fills a record's failure from what is always true of its class."""

from __future__ import annotations

import msgspec
import pytest

from glovebox.siteaudit.failures import FAILURES, make_failure
from glovebox.siteaudit.record import Failure


@pytest.mark.parametrize("failure_class", FAILURES)
def test_every_class_makes_a_failure_that_reads_back(failure_class: str) -> None:
    failure = make_failure(failure_class, "seen", "https")
    assert msgspec.json.decode(msgspec.json.encode(failure), type=Failure) == failure
    assert failure.fix == FAILURES[failure_class].fix


def test_an_alert_keeps_its_name_and_a_long_detail_still_reads_back() -> None:
    failure = make_failure("tls_alert:handshake_failure", "x" * 10_000, "y" * 10_000)
    assert failure.failure_class == "tls_alert:handshake_failure"
    assert failure.stage == "tls"
    assert msgspec.json.decode(msgspec.json.encode(failure), type=Failure) == failure


def test_an_unknown_class_is_a_defect_of_the_caller() -> None:
    with pytest.raises(KeyError):
        make_failure("other")
