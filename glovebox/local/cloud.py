"""The whole platform on this machine, from synthesis to the page's address, as one context manager."""

from __future__ import annotations

import json
import mimetypes
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from glovebox.adapters.dynamodb_findings import DynamoFindingStore
from glovebox.adapters.dynamodb_scans import DynamoScanStore
from glovebox.adapters.dynamodb_targets import DynamoTargets
from glovebox.dates import iso
from glovebox.errors import ConfigurationError
from glovebox.local.adaptations import Change
from glovebox.local.agent import Agent
from glovebox.local.assembly import Assembly, audit_role_template, synthesized
from glovebox.local.aws import ACCOUNT, REGION, LocalAws
from glovebox.local.connection import announced
from glovebox.local.deployment import Deployment, deploy
from glovebox.local.edge import running_edge
from glovebox.local.engines import Engine
from glovebox.local.functions import invoked, set_variables
from glovebox.local.github import LookAlike
from glovebox.local.perimeter import Perimeter, running_perimeter
from glovebox.local.repositories import Repositories, samples
from glovebox.local.scanner_tools import Tools
from glovebox.local.server import running_ministack
from glovebox.local.target import EXTERNAL_ID, TARGET, TargetAccount
from glovebox.registry.order import AccountsOrder, OrderAnswer, RepositoriesAnswer, RepositoriesOrder
from glovebox.registry.registry import Registry
from glovebox.scans.repositories import REPOSITORY_SCANNERS
from glovebox.scans.state import Run
from glovebox.services.launch import LaunchAnswer
from glovebox.siteaudit.settings import AuditSettings

CHECKOUT = Path(__file__).resolve().parents[2]
MINISTACK = CHECKOUT / ".glovebox" / "ministack"
FIRING_TIME = "<aws.scheduler.scheduled-time>"
"""What EventBridge Scheduler replaces in a target's input by the time for which it fires."""
AUTHORITIES = "/glovebox-local/authorities"
"""Whom scanners of accounts are to believe where no gateway stands: the emulator's own authority."""
DEFAULT_PORT = 8642
"""The page's; another free one is taken where somebody else has it."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run and where."""

    folder: Path
    """State, logs and tasks of this run."""
    engine: Engine
    """Without a perimeter; with one, the lab's own."""
    audit_settings: AuditSettings | None = None
    shard_hosts: int | None = None
    """`None`: as the template says."""
    port: int | None = None
    keep: bool = False
    """Whether the tasks' folders stay after their end."""
    perimeter: bool = False
    """Whether tasks run in the lab, with the fleet as its internet; `audit_settings` are then the fleet's."""
    traits: Sequence[str] = ()
    """Of that fleet; all by default."""
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """In the lab: image or container → another command, the tests' hostile scanners."""
    tools: Tools = field(default_factory=Tools)
    """Which scanners are the real ones; `engine` has the same."""
    repositories: Repositories | None = None
    """What is served as GitHub's; `None`: the samples."""
    say: Say = field(default=lambda _: None)


class _ListPlace(msgspec.Struct):
    key: str


class _ScheduledOrder(msgspec.Struct):
    """What the daily schedule hands to `launch`."""

    list: _ListPlace


@dataclass(frozen=True, slots=True)
class LocalCloud:
    """A cloud that runs."""

    aws: LocalAws
    deployment: Deployment
    agent: Agent
    page: str
    """The page's address; `/api/…` and `/files/…` are below it."""
    target: TargetAccount
    """The account that is scanned."""
    changes: tuple[Change, ...]
    """In what all that is deployed differs from AWS."""
    tools: Tools
    repositories: Repositories
    github: LookAlike
    """What serves them."""
    perimeter: Perimeter | None = None

    @property
    def store(self) -> DynamoScanStore:
        return DynamoScanStore(self.aws.client("dynamodb"), self.deployment.output("ScansTable"))

    @property
    def registry(self) -> Registry:
        store = DynamoTargets(self.aws.client("dynamodb"), self.deployment.output("RegistryTable"))
        return Registry(store, ACCOUNT)

    @property
    def findings(self) -> DynamoFindingStore:
        return DynamoFindingStore(self.aws.client("dynamodb"), self.deployment.output("FindingsTable"))

    def upload_list(self, hosts: bytes) -> None:
        """Put the host list where the schedule looks for it, byte for byte."""
        order = msgspec.json.decode(self._scheduled_input(), type=_ScheduledOrder)
        self.aws.client("s3").put_object(
            Bucket=self.deployment.output("ListsBucket"), Key=order.list.key, Body=hosts
        )

    def fire_schedule(self) -> str:
        """Invoke what the daily schedule invokes, with its own input, now; answers the run's id.

        Raises:
            UpstreamError: the function failed; says how.
        """
        return self.launch(self._scheduled_input())

    def launch(self, event: bytes) -> str:
        """Invoke `launch` with this JSON, as a person may; answers the run's id.

        Raises:
            UpstreamError: the function failed; says how.
        """
        return msgspec.json.decode(self._launched(event), type=LaunchAnswer).run_id

    def scan_accounts(self) -> OrderAnswer:
        """Have every account on record scanned, as a schedule does.

        Raises:
            UpstreamError: the function failed; says how.
        """
        order = AccountsOrder(accounts="all", requested_by="glovebox up")
        return msgspec.json.decode(self._launched(msgspec.json.encode(order)), type=OrderAnswer)

    def scan_repositories(self, *ids: str, ref: str = "") -> RepositoriesAnswer:
        """Have these repositories scanned, or every one on record.

        Raises:
            UpstreamError: the function failed; says how.
        """
        order = RepositoriesOrder(repositories=ids or "all", ref=ref, requested_by="glovebox up")
        return msgspec.json.decode(self._launched(msgspec.json.encode(order)), type=RepositoriesAnswer)

    def _launched(self, event: bytes) -> bytes:
        return invoked(self.aws, self.deployment.output("LaunchFunction"), event, what="launch")

    def download_files(self, run: Run, folder: Path) -> list[Path]:
        """The run's published files, as an address below `/files/` gives them."""
        folder.mkdir(parents=True, exist_ok=True)
        storage = self.aws.client("s3")
        bucket = self.deployment.output("PublicationBucket")
        paths = [folder / key.rpartition("/")[2] for key in run.files]
        for key, path in zip(run.files, paths, strict=True):
            storage.download_file(bucket, key, str(path))
        return paths

    def _scheduled_input(self) -> bytes:
        schedule = self.aws.client("scheduler").get_schedule(Name=self.deployment.output("Schedule"))
        now = iso(datetime.now(UTC))
        return schedule["Target"].get("Input", "{}").replace(FIRING_TIME, now).encode()


@contextmanager
def running_cloud(plan: Plan) -> Iterator[LocalCloud]:
    """Bring the platform up, and take every part of it down with the block.

    Raises:
        ConfigurationError: something is missing on this machine.
        UpstreamError: a part did not come up; says which and why.
    """
    require_linux()
    with ExitStack() as stack:
        assembly, audit_role, aws = _prepare(plan, stack)
        plan.say("Deploying the stacks, and the audit role in the account that is scanned")
        deployment = deploy(aws, assembly, gateway_port=aws.port, perimeter=plan.perimeter)
        target = TargetAccount.beside(aws)
        changes = deployment.changes + target.prepare(audit_role, deployment, aws)
        # The hourly schedule would come too late for the first scan.
        invoked(aws, deployment.output("KeysFunction"), b"{}", what="keys")
        if not plan.perimeter:
            _believe_the_emulator(aws, deployment.output("LaunchFunction"))
        perimeter = _perimeter(aws, assembly, deployment, plan, stack)
        settings = perimeter.farm.settings if perimeter else plan.audit_settings
        _configure_launch(aws, deployment.output("LaunchFunction"), settings, plan.shard_hosts)
        _upload_page(aws, deployment.output("SiteBucket"))
        stack.enter_context(announced(aws, plan.folder))
        repositories = plan.repositories or samples(plan.folder / "repositories")
        plan.say("Putting the repositories on record")
        github = stack.enter_context(repositories.hosted(aws, deployment))
        tools = plan.tools
        scanners = [each for each in REPOSITORY_SCANNERS if tools.scans(each)]
        told = {"REPOSITORY_SCANNERS": ",".join(scanners)}
        set_variables(aws, deployment.output("LaunchFunction"), told)
        engine = perimeter.engine if perimeter else plan.engine
        agent = Agent(
            aws,
            deployment.output("Cluster"),
            engine,
            plan.folder / "tasks",
            images=deployment.images(),
            keep=plan.keep,
        )
        stack.enter_context(agent.watching())
        domain = urlsplit(deployment.output("PageUrl")).hostname or ""
        page = stack.enter_context(_edge(aws, domain, plan.port))
        yield LocalCloud(
            aws, deployment, agent, page, target, changes, tools, repositories, github, perimeter
        )


def require_linux() -> None:
    """Raises ConfigurationError elsewhere: what ends and limits the tasks is Linux's."""
    if platform.system() != "Linux":
        raise ConfigurationError(
            f"The local cloud runs on Linux, not on {platform.system()}.",
            fix="Use a Linux machine, a virtual machine, or a container.",
        )


def _prepare(plan: Plan, stack: ExitStack) -> tuple[Assembly, str, LocalAws]:
    """Synthesize while the emulator starts: both take a moment, and neither waits for the other."""
    # What lies in it is nobody's but ours: state, keys and the tasks' folders.
    plan.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    plan.say("Synthesizing the templates, unless they are as they were")
    with ThreadPoolExecutor(max_workers=1) as pool:
        kept = CHECKOUT / ".glovebox"
        synthesis = pool.submit(synthesized, CHECKOUT, kept / "assemblies", machine_context())
        audit_role = pool.submit(audit_role_template, CHECKOUT, kept / "audit-role")
        # The kernel ends the emulator with the thread that started it, so that is this one.
        aws = stack.enter_context(running_ministack(MINISTACK / "bin" / "python", plan.folder / "ministack"))
        return synthesis.result(), audit_role.result(), aws


def machine_context() -> dict[str, object]:
    """The deployment's settings for this machine (docs/settings.md)."""
    machine = platform.machine()
    return {
        "glovebox:architecture": "arm64" if machine in ("arm64", "aarch64") else "x86_64",
        # The functions run on this machine's C library, and not on that of their Python's Lambda.
        "glovebox:bundlePlatform": f"{machine.replace('arm64', 'aarch64')}-manylinux_2_28",
        "glovebox:python": _python_of(MINISTACK),
        "glovebox:disposable": "on",
        "glovebox:targets": [TARGET],
        "glovebox:externalId": EXTERNAL_ID,
    }


def _perimeter(
    aws: LocalAws, assembly: Assembly, deployment: Deployment, plan: Plan, stack: ExitStack
) -> Perimeter | None:
    if not plan.perimeter:
        return None
    plan.say("Building the perimeter: networks, endpoints, gateway")
    perimeter = running_perimeter(
        aws,
        assembly,
        deployment,
        plan.folder / "perimeter",
        traits=plan.traits,
        commands=plan.commands,
        tools=plan.tools,
    )
    return stack.enter_context(perimeter)


def _believe_the_emulator(aws: LocalAws, function: str) -> None:
    """Hand scanners the emulator's authority: that of the gateway's leaf vouches for nobody here."""
    authority = aws.authority.read_text(encoding="ascii")
    aws.client("ssm").put_parameter(Name=AUTHORITIES, Value=authority, Type="String", Overwrite=True)
    functions = aws.client("lambda")
    role = functions.get_function_configuration(FunctionName=function)["Role"].rpartition("/")[2]
    reading = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "LetLaunchReadTheEmulatorsAuthority",
                "Effect": "Allow",
                "Action": "ssm:GetParameter",
                "Resource": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{AUTHORITIES}",
            }
        ],
    }
    aws.client("iam").put_role_policy(
        RoleName=role, PolicyName="LocalCloud", PolicyDocument=json.dumps(reading)
    )
    set_variables(aws, function, {"AUTHORITIES_PARAMETER": AUTHORITIES})


def _configure_launch(
    aws: LocalAws, function: str, settings: AuditSettings | None, shard_hosts: int | None
) -> None:
    """Tell `launch` what is known only now: where the fleet's servers and its name server listen."""
    wanted = {}
    if settings is not None:
        wanted["AUDIT_SETTINGS"] = msgspec.json.encode(settings).decode()
    if shard_hosts is not None:
        wanted["SHARD_HOSTS"] = str(shard_hosts)
    if wanted:
        set_variables(aws, function, wanted)


def _python_of(environment: Path) -> str:
    """`3.11` for an environment made with Python 3.11.7: what the functions run in here."""
    try:
        lines = (environment / "pyvenv.cfg").read_text().splitlines()
    except FileNotFoundError as error:
        raise ConfigurationError(f"{environment} is missing.", fix="Run: make setup") from error
    pairs = (line.partition("=") for line in lines)
    values = {name.strip(): value.strip() for name, _, value in pairs}
    version = values.get("version_info") or values.get("version", "")
    return ".".join(version.split(".")[:2])


def _upload_page(aws: LocalAws, bucket: str) -> None:
    storage = aws.client("s3")
    page = CHECKOUT / "page"
    for path in sorted(page.rglob("*")):
        if path.is_file():
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            storage.put_object(
                Bucket=bucket, Key=path.relative_to(page).as_posix(), Body=path.read_bytes(), ContentType=kind
            )


@contextmanager
def _edge(aws: LocalAws, domain: str, port: int | None) -> Iterator[str]:
    """At the port that was asked for; else at ours, or at any that is free."""
    with ExitStack() as stack:
        try:
            address = stack.enter_context(running_edge(aws, domain, port or DEFAULT_PORT))
        except ConfigurationError:
            if port is not None:
                raise
            address = stack.enter_context(running_edge(aws, domain, None))
        yield address
