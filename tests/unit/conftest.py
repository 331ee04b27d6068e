"""What the tests of commands share."""

from __future__ import annotations

import pytest

from tests.deployment import Command, FakeRemote, commands, connected


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> FakeRemote:
    return connected(monkeypatch)


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes]) -> Command:
    return commands(capsysbinary)
