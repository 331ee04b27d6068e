"""Reading synthesized templates: resources by type, and expressions as short text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import aws_cdk as cdk

import app as glovebox_app
from stacks.settings import PROMOTED, Settings

TARGETS = ("111122223333", "444455556666")
DIGESTS = {image: f"sha256:{number:064x}" for number, image in enumerate(PROMOTED)}
EXTERNAL = "6f1c1a1e-94a4-4a63-8f0e-0f2c8f7f3c11"
STACKS = ("Storage", "Scanners", "Perimeter", "Broker", "Audit", "Drill", "Operations")
CDK_CONTEXT = json.loads((glovebox_app.ROOT / "cdk.json").read_text())["context"]
_HASH = re.compile(r"(?<=.)[0-9A-F]{8}$")
_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "region",
    "AWS::AccountId": "account",
    "AWS::URLSuffix": "amazonaws.com",
}


def synthesize(folder: Path, settings: Settings) -> Assembly:
    """All stacks with these settings, without bundling.  Raises where cdk-nag finds what nobody accepted."""
    context = {**CDK_CONTEXT, "aws:cdk:bundling-stacks": []}
    app = cdk.App(context=context, outdir=str(folder), analytics_reporting=False)
    glovebox_app.build(app, settings)
    app.synth()
    return Assembly(folder)


@dataclass(frozen=True)
class Resource:
    stack: str
    name: str
    type: str
    properties: Mapping[str, Any]
    whole: Mapping[str, Any]

    @property
    def short(self) -> str:
        """The logical name without the CDK's hash."""
        return _HASH.sub("", self.name)


@dataclass(frozen=True)
class Assembly:
    folder: Path

    @cached_property
    def templates(self) -> dict[str, dict[str, Any]]:
        """Template by the stack's short name."""
        return {
            name: json.loads((self.folder / f"Glovebox-{name}.template.json").read_text()) for name in STACKS
        }

    def of(self, kind: str, stack: str | None = None) -> list[Resource]:
        """All resources of a type, at least one."""
        found = [each for each in self.all() if each.type == kind and stack in (None, each.stack)]
        assert found, f"there is no {kind}"
        return found

    def one(self, kind: str, short: str, stack: str | None = None) -> Resource:
        [found] = [each for each in self.of(kind, stack) if each.short == short]
        return found

    def all(self) -> Iterator[Resource]:
        for stack, template in self.templates.items():
            for name, whole in template["Resources"].items():
                yield Resource(stack, name, whole["Type"], whole.get("Properties", {}), whole)

    @cached_property
    def _exports(self) -> dict[str, Any]:
        return {
            output["Export"]["Name"]: output["Value"]
            for template in self.templates.values()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def shown(self, value: Any) -> str:
        """An expression as text: `Scans.Arn`, `Results.Arn/results/*`."""
        if not isinstance(value, dict):
            return str(value)
        [(function, argument)] = value.items()
        if function == "Fn::ImportValue":
            return self.shown(self._exports[argument])
        if function == "Fn::Join":
            separator, parts = argument
            return str(separator).join(map(self.shown, parts))
        if function == "Fn::GetAtt":
            return f"{_HASH.sub('', argument[0])}.{argument[1]}"
        if function == "Fn::Sub":
            return str(argument)
        if function == "Fn::Select":
            # Of a list that is known only in AWS, such as the parts of an ARN.
            return f"<{argument[0]} of {self.shown(argument[1])}>"
        if function == "Fn::Split":
            return self.shown(argument[1])
        assert function == "Ref", f"unexpected {function}"
        return _PSEUDO.get(argument, _HASH.sub("", argument))

    def as_text(self, value: Any) -> Any:
        """A part of a template in which each expression is text."""
        if isinstance(value, list):
            return [self.as_text(each) for each in value]
        if isinstance(value, dict):
            if len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref")):
                return self.shown(value)
            return {key: self.as_text(each) for key, each in value.items()}
        return value


def listed(value: Any) -> list[Any]:
    """A policy's element that may stand alone or in a list."""
    return value if isinstance(value, list) else [value]
