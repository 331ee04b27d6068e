"""Both event loops: container and command run on uvloop, and on asyncio's own where uvloop is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

ON_BOTH = frozenset(
    {
        "test_connect",
        "test_dns",
        "test_engine",
        "test_gateway",
        "test_tls_rude",
        "test_web_exchange",
        "test_web_visit",
    }
)
"""Where transports differ: how connections begin, break and end."""


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return factories if item.path.stem in ON_BOTH else {"asyncio": asyncio.new_event_loop}
