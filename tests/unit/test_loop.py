"""The runner of an audit leaves the process as it found it."""

from __future__ import annotations

import gc

import pytest

from glovebox.siteaudit.loop import COLLECT_AFTER, audit_runner


async def threshold() -> int:
    return gc.get_threshold()[0]


def test_while_an_audit_runs_the_collector_rarely_looks() -> None:
    with audit_runner() as runner:
        assert runner.run(threshold()) == COLLECT_AFTER


def test_the_collector_is_as_before_also_after_a_failure() -> None:
    usual = gc.get_threshold()

    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), audit_runner() as runner:
        runner.run(fail())
    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() == 0
