"""One emulator with the small app, and one local cloud with a small fleet, for all tests that need them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from glovebox.farm.running import Farm, running_farm
from glovebox.local.adaptations import adapt
from glovebox.local.cloud import CHECKOUT, MINISTACK, LocalCloud, Plan, running_cloud
from glovebox.local.engines import ProcessEngine
from glovebox.local.progress import View, follow
from glovebox.local.server import running_ministack
from glovebox.scans.state import Scan
from tests.e2e import small_app

TRAITS = (
    "good",
    "strong-headers",
    "expired",
    "mismatch",
    "self-signed",
    "nxdomain",
    "redirect-loop",
    "refused",
)
"""Quick ones: the engine's tests have them all."""
SHARD_HOSTS = 4
RUN_SECONDS = 180.0


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[small_app.Small]:
    folder = tmp_path_factory.mktemp("emulator")
    with running_ministack(MINISTACK / "bin" / "python", folder) as aws:
        storage = aws.client("s3")
        storage.create_bucket(Bucket=small_app.ASSETS)
        storage.put_object(Bucket=small_app.ASSETS, Key=small_app.CODE, Body=small_app.code())
        template, changes = adapt("small", small_app.template(), gateway_port=aws.port)
        formation = aws.client("cloudformation")
        formation.create_stack(
            StackName="small", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        deadline = time.monotonic() + small_app.PATIENCE
        while (stack := formation.describe_stacks(StackName="small")["Stacks"][0])["StackStatus"].endswith(
            "PROGRESS"
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert stack["StackStatus"] == "CREATE_COMPLETE", formation.describe_stack_events(StackName="small")
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        yield small_app.Small(aws, outputs, changes)


@dataclass
class Platform:
    """The local cloud on a small fleet."""

    cloud: LocalCloud
    farm: Farm
    commands: dict[str, Sequence[str]] = field(default_factory=dict)
    """Container → what runs instead of it."""
    folder: Path = Path()
    """Of the run: state, logs and tasks."""

    def completed(self, run_id: str) -> View:
        """The run once it is over."""
        deadline = time.monotonic() + RUN_SECONDS
        for view in follow(self.cloud, run_id):
            assert time.monotonic() < deadline, view
            last = view
        assert last.run.published_at, last
        return last

    def cleared(self) -> None:
        """Wait until the folders of tasks that are over are gone, which no run waits for."""
        deadline = time.monotonic() + RUN_SECONDS
        while left := list((self.folder / "tasks").glob("*")):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)

    def tried_again(self, run_id: str) -> Scan:
        """The run's only scan, once its first attempt was given up."""
        deadline = time.monotonic() + RUN_SECONDS
        while (scan := self.cloud.store.scans(run_id)[0]).attempt == 1 and not scan.state.ended:
            assert time.monotonic() < deadline, scan
            time.sleep(0.2)
        return scan

    def launch(self, *hosts: str) -> str:
        return self.cloud.launch(json.dumps({"hosts": hosts, "requestedBy": "test"}).encode())


def _listen(cloud: LocalCloud) -> None:
    """A queue that hears all that people are told."""
    queues = cloud.aws.client("sqs")
    queue = queues.create_queue(QueueName="what-people-are-told")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    anybody = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    topic = cloud.deployment.output("Topic")
    cloud.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("cloud")
    commands: dict[str, Sequence[str]] = {}
    with running_farm(folder / "fleet", only=TRAITS) as farm:
        plan = Plan(
            folder=folder,
            engine=ProcessEngine(CHECKOUT, commands),
            audit_settings=farm.settings,
            shard_hosts=SHARD_HOSTS,
        )
        with running_cloud(plan) as cloud:
            _listen(cloud)
            yield Platform(cloud, farm, commands, folder)


@pytest.fixture(scope="session")
def first_run(platform: Platform) -> View:
    """What the schedule starts, with the list where it looks for it."""
    lines = ["# the fleet", *platform.farm.hosts, platform.farm.hosts[0].upper(), "not a name"]
    platform.cloud.upload_list("\n".join(lines).encode())
    return platform.completed(platform.cloud.fire_schedule())
