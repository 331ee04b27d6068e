"""The real gateway in the lab: Squid with the rendered configuration, tickets, keys and certificates."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from glovebox.lab.plan import ORIGIN_ADDRESS, Plan
from glovebox.tickets.claims import AwsApiClaims, SiteClaims, encode, to_base64url
from glovebox.tickets.keys import KeySet
from glovebox.tickets.proxy import ProxyTicket
from glovebox.tickets.signer import Signer
from squid.authority import mint
from squid.render import TEMPLATE, render
from squid.settings import GatewaySettings

USER = 10_002
"""Not that of scanners: in the lab they share one machine's files."""
REGION = "us-east-1"
ACCOUNT = "111122223333"
BUCKET = "audited-bucket"
SCANNED_KEY = ("ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
ATTACKER_KEY = ("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")
OTHER_KEY = "ASIAI55QH8DHBEXAMPLE"
"""AWS's documentation has made all of them public: they open nothing."""
LIFE_SECONDS = 900
DAY = 86_400
PORTS = (3128, 3129)
ALLOW_LIST = Path("allow-list") / f"prowler-{REGION}.txt"
_CODE, _STATE = Path("/run/lab/code"), Path("/run/lab/gateway")


@dataclass(frozen=True, slots=True)
class Tickets:
    """Each as `user:password`."""

    aws_api: str
    site: str
    bad: dict[str, str]
    """Name → one that must not work; all but the forged ones were good somewhere, once or will be."""


def hosts() -> list[str]:
    """The allow-list that the gateway of the lab holds."""
    lines = (
        TEMPLATE.with_name(str(ALLOW_LIST.parent)).joinpath(ALLOW_LIST.name).read_text("utf-8").splitlines()
    )
    return [line for line in lines if line and not line.startswith("#")]


def write_gateway(folder: Path, plan: Plan, python: str) -> Tickets:
    """Everything that Squid reads, below `folder`, which the lab shows it as `/run/lab/gateway`.

    Also `origin.pem` and `origin.key` for the servers that it may reach.  `python` runs its helpers.
    """
    now = datetime.now(UTC)
    names = hosts()
    own, upstream = mint(names, now), mint(names, now)
    signer = Signer(Ed25519PrivateKey.generate())
    files = {
        "leaf.pem": own.leaf,
        "leaf.key": own.key,
        "keys.pem": KeySet.of([signer.public_key]).pem(),
        "upstream.pem": upstream.authority,
        "squid.conf": render(_settings(plan, python)).encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
        os.chown(folder / name, USER, USER)
        (folder / name).chmod(0o600)
    folder.chmod(0o700)
    os.chown(folder, USER, USER)
    folder.with_name("origin.pem").write_bytes(upstream.leaf)
    folder.with_name("origin.key").write_bytes(upstream.key)
    return _tickets(signer, int(now.timestamp()))


def squid_command() -> list[str]:
    """Squid in the foreground, as a user without any right."""
    squid = shutil.which("squid") or "squid"
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--bounding-set=-all"]
    return [*user, "--inh-caps=-all", "--no-new-privs", "--", squid, "-N", "-f", str(_STATE / "squid.conf")]


def _settings(plan: Plan, python: str) -> GatewaySettings:
    helper = (python, "-m")
    network = plan.network.vpcs
    return GatewaySettings(
        scan_subnets=(str(network[plan.scan_vpc]),),
        allow_list=str(_CODE / "squid" / ALLOW_LIST),
        bucket_regions=(REGION,),
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


def _tickets(signer: Signer, now: int) -> Tickets:
    def claims(start: int = now, key: str = SCANNED_KEY[0], scan: str = "drill") -> AwsApiClaims:
        return AwsApiClaims(
            scan=scan,
            iat=start,
            nbf=start,
            exp=start + LIFE_SECONDS,
            key=key,
            account=ACCOUNT,
            buckets=[BUCKET],
        )

    def signed(one: AwsApiClaims, by: Signer = signer) -> str:
        return _text(by.sign(one))

    forger = Signer(Ed25519PrivateKey.generate())
    ours = encode(msgspec.structs.replace(claims(), kid=signer.kid))
    other = signed(claims(key=OTHER_KEY, scan="other"))
    stolen_kid = Ed25519PrivateKey.generate().sign(ours.encode("ascii"))
    site = SiteClaims(
        scan="drill-site", iat=now, nbf=now, exp=now + LIFE_SECONDS,
        host="site.example", addresses=[ORIGIN_ADDRESS], ports=[80, 443],
    )  # fmt: skip
    bad = {
        "forged": signed(claims(), forger),
        "forged_kid": f"{ours}:{to_base64url(stolen_kid)}",
        "mixed": f"{ours}:{other.partition(':')[2]}",
        "expired": signed(claims(now - DAY)),
        "early": signed(claims(now + DAY)),
        "other_scan": other,
    }
    return Tickets(signed(claims()), _text(signer.sign(site)), bad)


def _text(ticket: ProxyTicket) -> str:
    return f"{ticket.user}:{ticket.password}"
