"""The secret of the GitHub App: its id and key, which people put in, and the key of fingerprints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from glovebox.adapters.github import AppCredentials
from glovebox.errors import ConfigurationError

MIN_FINGERPRINT_KEY: Final = 64
_FIX: Final = "Run glovebox github-app; the key of fingerprints is the deployment's own."


class _Secret(Struct, frozen=True, rename="camel"):
    app_id: str = ""
    private_key: str = ""
    fingerprint_key: str = ""


@dataclass(frozen=True, slots=True)
class GitHubSecret:
    """Read for each use, so that a key that was changed is the next one's.

    Every method raises ConfigurationError for a secret that lacks what is asked for.
    """

    read: Callable[[], str]
    """Its text, JSON: `{"appId", "privateKey", "fingerprintKey"}`."""

    def app(self) -> AppCredentials:
        secret = self._secret()
        if not (secret.app_id and secret.private_key):
            raise ConfigurationError("There is no GitHub App in its secret.", fix=_FIX)
        return AppCredentials(secret.app_id, secret.private_key)

    def fingerprint_key(self) -> str:
        secret = self._secret()
        if len(secret.fingerprint_key) < MIN_FINGERPRINT_KEY:
            raise ConfigurationError("The key of fingerprints is missing or too short.", fix=_FIX)
        return secret.fingerprint_key

    def _secret(self) -> _Secret:
        try:
            return msgspec.json.decode(self.read(), type=_Secret)
        except msgspec.DecodeError:
            # From None: the error may quote what is there.
            raise ConfigurationError("The secret of the GitHub App cannot be read.", fix=_FIX) from None
