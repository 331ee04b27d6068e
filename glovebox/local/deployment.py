"""Putting the synthesized templates into the local cloud, over CloudFormation's public calls alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glovebox.errors import ConfigurationError, UpstreamError
from glovebox.local.adaptations import Change, adapt
from glovebox.local.assembly import Assembly, Asset

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.literals import CapabilityType
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef

    from glovebox.local.aws import LocalAws

STACK_SECONDS = 120
"""The emulator makes a stack in a second or two; two busy cores may take longer."""
POLL_SECONDS = 0.1
MAX_BODY = 51_200
"""Bytes of a template within a call (CloudFormation's quotas); a larger one lies in a bucket."""
TEMPLATES = "glovebox-local-templates"
CAPABILITIES: list[CapabilityType] = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that a stack made."""

    stack: str
    logical_id: str
    type: str
    physical_id: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is there now, and in what it differs from the templates."""

    resources: tuple[Resource, ...]
    outputs: dict[str, str]
    """Of all stacks; their names are unique over the app."""
    changes: tuple[Change, ...]

    def of_type(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type == kind]

    def images(self) -> dict[str, str]:
        """Repository → the image that it is for, which its logical name holds."""
        found = self.of_type("AWS::ECR::Repository")
        return {each.physical_id: _image_of(each.logical_id) for each in found}

    def output(self, name: str) -> str:
        """Raises ConfigurationError if no stack gives it out."""
        if name not in self.outputs:
            raise ConfigurationError(
                f"No stack has an output {name!r}.", fix=f"There are: {', '.join(sorted(self.outputs))}."
            )
        return self.outputs[name]


def deploy(aws: LocalAws, assembly: Assembly, *, gateway_port: int, perimeter: bool = False) -> Deployment:
    """Upload the assets, then make each stack once those that it depends on are there.

    Raises:
        UpstreamError: a stack could not be made; names each resource that failed, and why.
    """
    _publish(aws, assembly.assets())
    client = aws.client("cloudformation")
    resources: list[Resource] = []
    outputs: dict[str, str] = {}
    changes: list[Change] = []
    for stack in assembly.stacks():
        template, changed = adapt(
            stack.name,
            json.loads(stack.template.read_bytes()),
            gateway_port=gateway_port,
            perimeter=perimeter,
        )
        changes += changed
        outputs |= create_stack(aws, stack.name, json.dumps(template))
        resources += [
            Resource(
                stack.name,
                each["LogicalResourceId"],
                each["ResourceType"],
                each.get("PhysicalResourceId", ""),
            )
            for each in client.describe_stack_resources(StackName=stack.name)["StackResources"]
        ]
    return Deployment(tuple(resources), outputs, tuple(changes))


def _publish(aws: LocalAws, assets: Iterable[Asset]) -> None:
    client = aws.client("s3")
    buckets: set[str] = set()
    for asset in assets:
        if asset.bucket not in buckets:
            client.create_bucket(Bucket=asset.bucket)
            buckets.add(asset.bucket)
        client.put_object(Bucket=asset.bucket, Key=asset.key, Body=asset.content())


def create_stack(
    aws: LocalAws, name: str, template: str, parameters: Mapping[str, str] = {}
) -> dict[str, str]:
    """Make one stack, and wait for it; its outputs.

    Raises:
        UpstreamError: it could not be made; names each resource that failed, and why.
    """
    client = aws.client("cloudformation")
    given: list[ParameterTypeDef] = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
    ]
    if len(template.encode()) <= MAX_BODY:
        client.create_stack(
            StackName=name, TemplateBody=template, Parameters=given, Capabilities=CAPABILITIES
        )
    else:
        url = _laid_down(aws, name, template)
        client.create_stack(StackName=name, TemplateURL=url, Parameters=given, Capabilities=CAPABILITIES)
    deadline = time.monotonic() + STACK_SECONDS
    while time.monotonic() < deadline:
        description = client.describe_stacks(StackName=name)["Stacks"][0]
        if description["StackStatus"] == "CREATE_COMPLETE":
            return {
                each.get("OutputKey", ""): each.get("OutputValue", "")
                for each in description.get("Outputs", [])
            }
        if not description["StackStatus"].endswith("_IN_PROGRESS"):
            break
        time.sleep(POLL_SECONDS)
    raise UpstreamError(
        f"The stack {name} could not be made: {_failures(client, name)}",
        fix="Types that the emulator lacks belong into glovebox/local/adaptations.py.",
    )


def _laid_down(aws: LocalAws, name: str, template: str) -> str:
    """Where CloudFormation reads a template that is too large for its call."""
    storage = aws.client("s3")
    storage.create_bucket(Bucket=TEMPLATES)
    storage.put_object(Bucket=TEMPLATES, Key=f"{name}.json", Body=template.encode())
    return f"{aws.endpoint}/{TEMPLATES}/{name}.json"


def _failures(client: CloudFormationClient, stack: str) -> str:
    events = client.describe_stack_events(StackName=stack)["StackEvents"]
    failed = [
        f"{event.get('LogicalResourceId')} ({event.get('ResourceType')}): {event.get('ResourceStatusReason')}"
        for event in events
        if event.get("ResourceStatus", "").endswith("_FAILED")
    ]
    return "; ".join(failed) or "it did not end in time"


def _image_of(logical_id: str) -> str:
    """`inlet` of `ImagesInletD5CBE57D`: the construct, the image, and eight digits of the library's hash."""
    return logical_id.removeprefix("Images")[:-8].lower()
