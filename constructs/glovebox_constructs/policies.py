"""Policies stand as plain JSON in `policies/`; here they get their names filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aws_cdk import aws_iam as iam

from glovebox.errors import ConfigurationError

FOLDER = Path(__file__).resolve().parents[2] / "policies"
_PLACE = re.compile(r"\$\{([A-Za-z]+)\}")


Values = Mapping[str, str | Sequence[str]]
"""Place → value; a place that stands alone in its string may become a list."""


def statements(name: str, values: Values) -> list[iam.PolicyStatement]:
    """The statements of `policies/<name>.json`, each `${Place}` replaced by its value.

    Raises ConfigurationError for a place without a value and for a value without a place.
    """
    text = (FOLDER / f"{name}.json").read_text()
    places = set(_PLACE.findall(text))
    if places != values.keys():
        raise ConfigurationError(
            f"policies/{name}.json has the places {sorted(places)}, but got {sorted(values)}.",
            fix="Give each place of the file its value.",
        )
    filled = _filled(json.loads(text)["Statement"], values)
    return [iam.PolicyStatement.from_json(statement) for statement in filled]


def document(name: str, values: Values) -> iam.PolicyDocument:
    """A whole policy document."""
    return iam.PolicyDocument(statements=statements(name, values))


# The CDK's statements are untyped JSON on their way into jsii.
def _filled(node: Any, values: Values) -> Any:
    if isinstance(node, str):
        alone = _PLACE.fullmatch(node)
        if alone and not isinstance(values[alone[1]], str):
            return list(values[alone[1]])
        return _PLACE.sub(lambda match: _text(match[1], values), node)
    if isinstance(node, list):
        return [_filled(item, values) for item in node]
    if isinstance(node, dict):
        return {_filled(key, values): _filled(item, values) for key, item in node.items()}
    return node


def _text(place: str, values: Values) -> str:
    value = values[place]
    if not isinstance(value, str):
        raise ConfigurationError(
            f"The place {place} is a list, but stands within a longer text.", fix="Let it stand alone."
        )
    return value
