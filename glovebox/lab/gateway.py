"""The real gateway in the lab: Squid with the rendered configuration, tickets, keys and certificates."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from glovebox.drill.tickets import Scope, Tickets, drill_tickets
from glovebox.lab.plan import ORIGIN_ADDRESS, Plan
from glovebox.tickets.keys import KeySet
from glovebox.tickets.signer import Signer
from squid.authority import mint
from squid.hosts import LISTS, bucket_regions, hosts_of
from squid.render import render
from squid.settings import GatewaySettings

USER = 10_002
"""Not that of scanners: in the lab they share one machine's files."""
REGION = "us-east-1"
ACCOUNT = "111122223333"
BUCKET = "audited-bucket"
SITE = "site.example"
LIFE_SECONDS = 900
PORTS = (3128, 3129)
ALLOW_LIST = Path(LISTS.name) / f"prowler-{REGION}.txt"
_CODE, _STATE = Path("/run/lab/code"), Path("/run/lab/gateway")


def hosts() -> list[str]:
    """The allow-list that the gateway of the lab holds."""
    return hosts_of(LISTS / ALLOW_LIST.name)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose gateway it is: the keys that sign its tickets, and its leaf, as PEM."""

    ticket_keys: bytes
    leaf: bytes
    key: bytes


def write_gateway(folder: Path, plan: Plan, python: str) -> Tickets:
    """The drill's gateway: `write_configuration` with an identity made here, and tickets of it.

    Also `origin.pem` and `origin.key` for the servers that it may reach.
    """
    now = datetime.now(UTC)
    own, upstream = mint(hosts(), now), mint(hosts(), now)
    signer = Signer(Ed25519PrivateKey.generate())
    identity = Identity(KeySet.of([signer.public_key]).pem(), own.leaf, own.key)
    write_configuration(folder, plan, python, identity, upstream.authority)
    folder.with_name("origin.pem").write_bytes(upstream.leaf)
    folder.with_name("origin.key").write_bytes(upstream.key)
    scope = Scope(
        scan="drill", now=int(now.timestamp()), life=LIFE_SECONDS,
        account=ACCOUNT, bucket=BUCKET, site=SITE, address=ORIGIN_ADDRESS,
    )  # fmt: skip
    return drill_tickets(signer, scope)


def write_configuration(folder: Path, plan: Plan, python: str, identity: Identity, upstream: bytes) -> None:
    """Everything that Squid reads, below `folder`, which the lab shows it as `/run/lab/gateway`.

    `python` runs its helpers; `upstream` are the authorities that AWS's certificates must lead to.
    """
    write_identity(folder, identity)
    _write(folder / "upstream.pem", upstream)
    _write(folder / "squid.conf", render(_settings(plan, python)).encode())
    folder.chmod(0o700)
    os.chown(folder, USER, USER)


def write_identity(folder: Path, identity: Identity) -> None:
    """Keys and leaf alone, for a gateway that is told to read them anew."""
    _write(folder / "leaf.pem", identity.leaf)
    _write(folder / "leaf.key", identity.key)
    _write(folder / "keys.pem", identity.ticket_keys)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, for the gateway's eyes."""
    fresh = path.with_suffix(".new")
    fresh.touch(0o600)
    fresh.write_bytes(content)
    os.chown(fresh, USER, USER)
    fresh.replace(path)


def squid_command() -> list[str]:
    """Squid in the foreground, as a user without any right."""
    squid = shutil.which("squid") or "squid"
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--bounding-set=-all"]
    return [*user, "--inh-caps=-all", "--no-new-privs", "--", squid, "-N", "-f", str(_STATE / "squid.conf")]


def squid_version() -> str:
    """`Squid 6.13`, as the daemon of this machine says."""
    said = subprocess.run(["squid", "--version"], capture_output=True, text=True, check=False).stdout
    return "Squid " + said.partition("\n")[0].rpartition(" ")[2]


def _settings(plan: Plan, python: str) -> GatewaySettings:
    helper = (python, "-m")
    network = plan.network.vpcs
    return GatewaySettings(
        scan_subnets=(str(network[plan.scan_vpc]),),
        allow_list=str(_CODE / "squid" / ALLOW_LIST),
        bucket_regions=bucket_regions(hosts()),
        region=REGION,
        tripwires=str(_CODE / "squid/tripwires.txt"),
        error_pages=str(_CODE / "squid/errors"),
        public_keys=str(_STATE / "keys.pem"),
        certificate=str(_STATE / "leaf.pem"),
        certificate_key=str(_STATE / "leaf.key"),
        upstream_authorities=str(_STATE / "upstream.pem"),
        name_servers=(str(network[plan.egress_vpc].network_address + 2),),
        verify_command=(*helper, "squid.helpers.verify_ticket"),
        judge_command=(*helper, "squid.helpers.judge_request"),
    )
