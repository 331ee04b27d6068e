"""Every error that Glovebox raises on purpose, under one root.

    GloveboxError
    ├── ConfigurationError      a setting or environment variable is missing or makes no sense
    ├── InputError              what a person or a caller handed in cannot be used (names the place)
    │   └── NotFoundError       the thing that was asked for does not exist
    ├── RefusedError            a security decision said no
    ├── RejectedReportError     a scan's report cannot be believed
    ├── ConflictError           somebody else got there first; nothing was changed
    └── UpstreamError           a service that we call failed, with what it said

Each error carries a sentence for people and a `fix`: what to do next.
"""

from __future__ import annotations


class GloveboxError(Exception):
    """The root. `reason` says what is wrong, `fix` what to do about it."""

    def __init__(self, reason: str, *, fix: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.reason} {self.fix}".strip()


class ConfigurationError(GloveboxError):
    """A setting or environment variable is missing or makes no sense."""


class InputError(GloveboxError):
    """What a person or a caller handed in cannot be used."""


class NotFoundError(InputError):
    """The thing that was asked for does not exist."""


class RefusedError(GloveboxError):
    """A security decision said no."""


class RejectedReportError(GloveboxError):
    """A scan's report cannot be believed."""


class ConflictError(GloveboxError):
    """Somebody else got there first; nothing was changed."""


class UpstreamError(GloveboxError):
    """A service that we call failed."""
