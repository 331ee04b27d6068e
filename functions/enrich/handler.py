"""Lambda entry point of `enrich`."""

from __future__ import annotations

from functions.enrich.bootstrap import bootstrap
from glovebox.errors import InputError
from glovebox.services.refusal import Context, refused


def handle(event: object, context: Context) -> None:
    try:
        bootstrap().handle(event, context.get_remaining_time_in_millis() / 1_000)
    except InputError as error:
        refused(error)
