"""The documents of an audit role, in the sizes that IAM takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from glovebox.errors import ConfigurationError
from glovebox_constructs.policies import Values, statements

MANAGED_CHARACTERS = 6_144
"""Of one managed policy, without blanks: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
MANAGED_POLICIES = 10
"""Attached to one role, where nobody asked for more."""
INLINE_CHARACTERS = 10_240
"""Of all inline policies of a role together."""
SESSION_CHARACTERS = 2_048
"""Of a session policy and the ARNs of the managed ones beside it."""

Document = dict[str, Any]
_VERSION = "2012-10-17"


def filled(name: str, values: Values) -> Document:
    """`policies/<name>.json` with its places filled."""
    return {"Version": _VERSION, "Statement": [each.to_json() for each in statements(name, values)]}


def size(document: object) -> int:
    """Characters as IAM counts them: blanks outside of texts are free."""
    return len(json.dumps(document, separators=(",", ":")))


def in_managed_policies(document: Document) -> list[Document]:
    """Cuts the statements into documents that each fit one managed policy.

    Raises ConfigurationError where more than MANAGED_POLICIES come out.
    """
    documents: list[Document] = []
    for piece in _pieces(document):
        if documents and size(_with(documents[-1], piece)) <= MANAGED_CHARACTERS:
            documents[-1] = _with(documents[-1], piece)
        else:
            documents.append({"Version": _VERSION, "Statement": [piece]})
    if len(documents) > MANAGED_POLICIES:
        raise ConfigurationError(
            f"The audit role would need {len(documents)} managed policies.",
            fix="Allow fewer actions in policies/audit_role_reads.json, or longer patterns.",
        )
    return documents


def _pieces(document: Document) -> Iterator[Mapping[str, Any]]:
    """Statements, those with many actions cut in parts of half a policy."""
    for statement in document["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        part: list[str] = []
        number = 0
        for action in actions:
            if size({**statement, "Action": [*part, action]}) > MANAGED_CHARACTERS - 200:
                number += 1
                yield {**statement, "Sid": f"{statement['Sid']}{number}", "Action": part}
                part = []
            part.append(action)
        yield {**statement, "Sid": f"{statement['Sid']}{number + 1}"} | {"Action": part}


def _with(document: Document, statement: Mapping[str, Any]) -> Document:
    return {**document, "Statement": [*document["Statement"], statement]}


def session_policy(values: Values) -> str:
    """What `redeem` hands to AssumeRole: without names of statements, which cost characters."""
    document = filled("audit_session_policy", values)
    for statement in document["Statement"]:
        del statement["Sid"]
    return json.dumps(document, separators=(",", ":"))
