"""Lambda entry point of `redeem`."""

from __future__ import annotations

from functions.redeem.bootstrap import bootstrap
from glovebox.errors import InputError, RefusedError
from glovebox.services.refusal import refused


def handle(event: object, context: object) -> None:
    try:
        bootstrap().handle(event)
    except (InputError, RefusedError) as error:
        refused(error)
