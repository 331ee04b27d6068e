"""The perimeter round the local cloud's tasks: the lab of the deployed template, the fleet as its internet.

    host                                   lab (network namespaces, as the template says)
    MiniStack ◄── endpoint (a thread) ═══► s3 ◄──┐
        ▲                                        │
        └──────── AWS's names (a thread) ═══► AWS ◄──┐
    launch ─────► names of the fleet ═══► fleet  ├── router ◄── scanner, neighbour, …: a machine a task
                                            ▲    │   │
                                            └────┴───┴── gateway (Squid): tickets for sites and for AWS

The two networks share no wire.  What crosses are sockets: the endpoint and AWS's names listen in the lab and
are served by this process, and the fleet, which lives in the lab, answers questions of names on the host's
loopback.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from glovebox.errors import ConfigurationError, GloveboxError
from glovebox.farm.authority import Authority, pem_of
from glovebox.farm.dns import NameSockets
from glovebox.farm.running import Farm, running_farm
from glovebox.lab.gateway import Identity, hosts
from glovebox.lab.journal import Reader
from glovebox.lab.lab import Lab, Scene
from glovebox.lab.plan import GATEWAY, INTERNET, ORIGIN_ADDRESS, S3, S3_ADDRESS
from glovebox.lab.probe import why_no_drill
from glovebox.lab.synthesis import STACK
from glovebox.lab.template import Network, read_template
from glovebox.local.agent import MAX_TASKS
from glovebox.local.assembly import Assembly
from glovebox.local.aws import ACCOUNT, REGION, LocalAws
from glovebox.local.aws_names import serving_aws
from glovebox.local.boxes import Boxes
from glovebox.local.deployment import Deployment
from glovebox.local.endpoint import Buckets, serving_buckets
from glovebox.local.scanner_tools import Tools
from glovebox.local.target import names_in_aws
from squid.authority import mint

FLEET_NETWORK = "45.77.0.0/16"
"""Public addresses, for the gateway refuses all others whatever a ticket says.  In the lab they are the
fleet's, and no packet leaves it."""
HTTPS = 443
RENEW_SECONDS = 60.0
"""How often keys and leaf are asked for; gateways in AWS do it every five minutes."""
ALLOWED = "allowed"


@dataclass(frozen=True, slots=True)
class Tunnels:
    """What the egress ledger holds."""

    allowed: int
    refused: Mapping[str, int]
    """By reason."""


@dataclass(frozen=True, slots=True)
class Perimeter:
    """A lab that runs, with everything that stands in it."""

    lab: Lab
    farm: Farm
    engine: Boxes
    problems: list[str]
    """What it could not do for its gateway."""

    def ledger(self) -> list[Mapping[str, object]]:
        """The gateway's decisions so far; a tunnel's is written when it ends."""
        return list(Reader(self.lab.journal("ledger")).news())

    def tunnels(self) -> Tunnels:
        reasons = Counter(_why(line) for line in self.ledger() if "status" in line)
        return Tunnels(reasons.pop(ALLOWED, 0), reasons)

    def dropped(self) -> int:
        """Packets that the router let not pass, so far."""
        flows = Reader(self.lab.journal("flows")).news()
        return sum(event.get("event") == "dropped" for event in flows)


def _why(line: Mapping[str, object]) -> str:
    """The helper's word where it has one, else the rule's."""
    if line["reason"] == ALLOWED:
        return ALLOWED
    return str(line["reason"] if line.get("verdict", "-") == "-" else line["verdict"])


def require_perimeter() -> None:
    """Raises ConfigurationError where this machine cannot build it, with what is missing."""
    lacking = why_no_drill()
    if lacking is not None:
        raise ConfigurationError(
            f"This machine cannot build the perimeter: {lacking}.",
            fix="Repair that (sudo -E make demo PERIMETER=1), or leave --perimeter away.",
        )


@contextmanager
def running_perimeter(
    aws: LocalAws,
    assembly: Assembly,
    deployment: Deployment,
    folder: Path,
    *,
    traits: Sequence[str] = (),
    commands: Mapping[str, Sequence[str]] = {},
    tools: Tools | None = None,
) -> Iterator[Perimeter]:
    """Build it from what was deployed, and take all of it down with the block.

    `folder`, which nobody else may enter, gets journals and logs.  Raises ConfigurationError and
    UpstreamError where a part does not come up.
    """
    journals, trust = folder / "lab", folder / "trust"
    for each in (journals, trust):
        each.mkdir(parents=True)
    buckets = Buckets(
        aws.endpoint,
        deployment.output("HandOffBucket"),
        deployment.output("ResultsBucket"),
        deployment.output("ClaimsBucket"),
        deployment.output("SnapshotsBucket"),
    )
    names = names_in_aws(hosts())
    shown = mint(names, datetime.now(UTC))
    scene = Scene(
        identity=_identity(aws, deployment),
        zone={host: [S3_ADDRESS] for host in buckets.hosts} | {host: [ORIGIN_ADDRESS] for host in names},
        servers=FLEET_NETWORK,
        tasks_at_once=MAX_TASKS,
        upstream=shown.authority,
    )
    with ExitStack() as stack:
        lab = stack.enter_context(Lab(_network(aws, assembly), journals, scene=scene))
        certificate = _certificate(trust, folder, buckets)
        listener = lab.namespaces.listening(S3, HTTPS)
        stack.enter_context(serving_buckets(listener, certificate, aws, buckets, lab.journal("s3")))
        leaf = folder / "aws.pem"
        leaf.touch(mode=0o600)
        leaf.write_bytes(shown.leaf + shown.key)
        listener = lab.namespaces.listening(INTERNET, HTTPS, ORIGIN_ADDRESS)
        gateway = lab.plan.machines[GATEWAY].address
        stack.enter_context(serving_aws(listener, leaf, aws, names, gateway, lab.journal("aws")))
        farm = stack.enter_context(_fleet(lab, folder / "fleet", traits))
        problems: list[str] = []
        stack.enter_context(_renewing(lab, aws, deployment, scene.identity, problems))
        yield Perimeter(
            lab, farm, Boxes(lab, folder / "code", trust, buckets, commands, tools or Tools()), problems
        )


def _network(aws: LocalAws, assembly: Assembly) -> Network:
    template = assembly.folder / f"{STACK}.template.json"
    known = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION}
    for page in aws.client("cloudformation").get_paginator("list_exports").paginate():
        known |= {each.get("Name", ""): each.get("Value", "") for each in page["Exports"]}
    return read_template(json.loads(template.read_text(encoding="utf-8")), known)


class _Leaf(msgspec.Struct):
    certificate: str
    key: str


def _identity(aws: LocalAws, deployment: Deployment) -> Identity:
    """What the gateway's own role reads in AWS."""
    keys = aws.client("ssm").get_parameter(Name=deployment.output("TicketKeys"))["Parameter"].get("Value", "")
    secret = aws.client("secretsmanager").get_secret_value(SecretId=deployment.output("GatewayLeaf"))
    leaf = msgspec.json.decode(secret["SecretString"], type=_Leaf)
    return Identity(keys.encode(), leaf.certificate.encode(), leaf.key.encode())


@contextmanager
def _renewing(
    lab: Lab, aws: LocalAws, deployment: Deployment, identity: Identity, problems: list[str]
) -> Iterator[None]:
    """Hand the gateway new keys while it runs, as its machine in AWS does."""
    ending = threading.Event()

    def renew() -> None:
        present = identity
        while not ending.wait(RENEW_SECONDS):
            try:
                fresh = _identity(aws, deployment)
                if fresh != present:
                    lab.renew(fresh)
                    present = fresh
            except (BotoCoreError, ClientError, GloveboxError, msgspec.DecodeError, KeyError) as error:
                problems.append(f"the gateway's keys: {error}")

    thread = threading.Thread(target=renew, name="gateway-keys", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(RENEW_SECONDS)


def _certificate(trust: Path, folder: Path, buckets: Buckets) -> Path:
    """The endpoint's certificate and key, under an authority of this run that the airlock trusts."""
    authority = Authority.create(common_name="Glovebox lab endpoint", organization="Glovebox")
    (trust / "authority.pem").write_bytes(pem_of([authority.certificate]))
    return authority.issue(sorted(buckets.hosts)).write(folder / "endpoint.pem")


@contextmanager
def _fleet(lab: Lab, folder: Path, traits: Sequence[str]) -> Iterator[Farm]:
    """The fleet on the lab's internet; its name server on the host's loopback, where `launch` asks."""
    with closing(NameSockets.bound()) as sockets:

        def start(command: Sequence[str], environment: Mapping[str, str], errors: IO[bytes]) -> Popen[bytes]:
            return lab.namespaces.start(
                INTERNET,
                command,
                environment=environment,
                orders=PIPE,
                output=PIPE,
                errors=errors,
                keeping=sockets.descriptors,
            )

        at = (FLEET_NETWORK, *map(str, sockets.descriptors))
        with running_farm(folder, only=traits, at=at, start=start) as farm:
            yield farm
