"""Reading a unit's environment: once, at cold start, and with the missing variable's name in the error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from glovebox.errors import ConfigurationError
from glovebox.siteaudit.settings import AuditSettings

_FIX = "Deploy the stack again, or set it where this process is started."


@dataclass(frozen=True, slots=True)
class Variables:
    """A view on the environment.  Every method raises ConfigurationError, which names the variable."""

    values: Mapping[str, str]

    def text(self, name: str) -> str:
        value = self.values.get(name, "").strip()
        if not value:
            raise ConfigurationError(f"The environment variable {name} is not set.", fix=_FIX)
        return value

    def names(self, name: str) -> tuple[str, ...]:
        """Comma-separated; at least one."""
        found = tuple(part.strip() for part in self.text(name).split(",") if part.strip())
        if not found:
            raise ConfigurationError(f"The environment variable {name} names nothing.", fix=_FIX)
        return found

    def names_or_none(self, name: str) -> tuple[str, ...]:
        """Comma-separated; empty for none, but the variable must be there."""
        if name not in self.values:
            raise ConfigurationError(f"The environment variable {name} is not set.", fix=_FIX)
        return tuple(part.strip() for part in self.values[name].split(",") if part.strip())

    def number(self, name: str, *, least: int, most: int) -> int:
        text = self.text(name)
        if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            raise ConfigurationError(
                f"The environment variable {name} is {text!r}, not a number from {least} to {most}.", fix=_FIX
            )
        return int(text)

    def switch(self, name: str) -> bool:
        """`on` or `off`."""
        text = self.text(name)
        if text not in ("on", "off"):
            raise ConfigurationError(
                f"The environment variable {name} is {text!r}, neither on nor off.", fix=_FIX
            )
        return text == "on"

    def audit_settings(self, name: str) -> AuditSettings:
        try:
            return msgspec.json.decode(self.text(name), type=AuditSettings)
        except msgspec.DecodeError as error:
            raise ConfigurationError(
                f"The environment variable {name} holds no audit settings: {error}.", fix=_FIX
            ) from error
