"""The secret of the GitHub App: what people put in, beside what stands there and must stay."""

from __future__ import annotations

from typing import Final

import msgspec

from glovebox.errors import ConfigurationError
from glovebox.rotation import Safe, Stage

MIN_FINGERPRINT_CHARACTERS: Final = 64


def put_app(safe: Safe, app_id: str, private_key: str) -> None:
    """Store the App's credentials; the key of fingerprints stays: with another one each known secret is new.

    Raises ConfigurationError where there is no such key.
    """
    try:
        held = msgspec.json.decode(safe.read(Stage.CURRENT) or "", type=dict[str, str])
    except msgspec.DecodeError:
        held = {}
    if len(held.get("fingerprintKey", "")) < MIN_FINGERPRINT_CHARACTERS:
        raise ConfigurationError(
            "The secret of the GitHub App has no key of fingerprints.",
            fix="Bring back its former version in Secrets Manager, or delete it and deploy again.",
        )
    told = {**held, "appId": app_id, "privateKey": private_key}
    safe.write(Stage.CURRENT, msgspec.json.encode(told).decode())
