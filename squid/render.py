"""The gateway's configuration, from its settings.

    python -m squid.render <settings.json>

prints what the daemon is given.  The reasons stand in `squid.conf.template` and stay in what is rendered.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from string import Template

import msgspec

from glovebox.errors import ConfigurationError
from squid.settings import HEADER_KILOBYTES, PRIVATE_DESTINATIONS, GatewaySettings

REGION_VARIABLE = "GLOVEBOX_REGION"
TEMPLATE = Path(__file__).with_name("squid.conf.template")

JUDGE_FIELDS = (
    "%>a", "%un", "%METHOD", "%>rd", "%>rP", "%>ru",
    "%>ha{Authorization}", "%>ha{X-Amz-Target}", "%>ha{Content-Type}", "%>ha{Content-Length}",
    "%>ha{Transfer-Encoding}",
)  # fmt: skip
"""What the judge sees of a request, in this order (squid/README.md)."""

AT_THE_DOOR = ("client", "address", "judge", "name", "port", "private", "tripwire", "too_many")
"""Reasons for which a CONNECT on the port that opens TLS is refused."""
AT_A_SITE = ("site_name", "site_private", "site_judge", "site_too_many")
INSIDE = (
    "nested", "scheme", "inner_port", "inner_tripwire", "inner_name", "method", "connection", "form",
    "inner_judge", "inner_judge_json", "inner_private", "other",
)  # fmt: skip
"""Reasons for which a request inside TLS is refused."""
JSON = "_json"
"""Ends reasons whose refusal is read as JSON."""
BEFORE = ("manager", "plain")

LEDGER: dict[str, str] = {
    "client": "%#.45>a",
    "client_port": "%#.8>p",
    "listener": "%#.8>lp",
    "scan": "%#.64note{clt_conn_tag}",
    "reason": "%#.32note{reason}",
    "verdict": "%#.48note{reason_}",
    "tripwire": "%#.8note{tripwire}",
    "method": "%#.16rm",
    "host": "%#.253>rd",
    "port": "%#.8>rP",
    "url": "%#.1024ru",
    "target": "%#.128{X-Amz-Target}>ha",
    "agent": "%#.128{User-Agent}>h",
    "upstream": "%#.45<a",
    "squid": "%#.48Ss",
    "error": "%#.64err_code",
}
"""Field → Squid's format: percent-encoded (`#`) and of bounded width, so that every line is JSON."""
LEDGER_NUMBERS: dict[str, str] = {
    "time": "%ts.%03tu",
    "status": "%>Hs",
    "ms": "%tr",
    "received": "%>st",
    "sent": "%<st",
}


def render(settings: GatewaySettings) -> str:
    """The whole configuration; the same settings give the same text."""
    return _warning(settings) + _configuration(settings)


def _warning(settings: GatewaySettings) -> str:
    """Loud where a test network lets something private through; no construct of the CDK can set that."""
    through = sorted(set(PRIVATE_DESTINATIONS) - set(settings.private_destinations))
    if not through:
        return ""
    return f"# TEST NETWORK: NOT FOR USE.  These private destinations are let through: {' '.join(through)}\n"


def _configuration(settings: GatewaySettings) -> str:
    children, concurrency = settings.helper_children, settings.helper_concurrency
    body_kilobytes = settings.body_bytes >> 10
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        listen=_host(settings.listen),
        aws_port=settings.aws_port,
        site_port=settings.site_port,
        certificate=settings.certificate,
        certificate_key=settings.certificate_key,
        upstream_authorities=settings.upstream_authorities,
        scan_subnets=" ".join(settings.scan_subnets),
        private_destinations=" ".join(settings.private_destinations),
        name_servers=" ".join(settings.name_servers),
        allow_list=settings.allow_list,
        tripwires=settings.tripwires,
        error_pages=settings.error_pages,
        public_keys=settings.public_keys,
        client_connections=settings.client_connections,
        verify_command=" ".join(settings.verify_command),
        judge_command=" ".join(settings.judge_command),
        region=settings.region,
        helper_children=children,
        helper_concurrency=concurrency,
        judge_options=f"children-max={children} children-startup={children} children-idle={children} "
        f"concurrency={concurrency}",
        judge_fields=" ".join(JUDGE_FIELDS),
        bucket_acl=_bucket_acl(settings.bucket_regions),
        reason_acls=_reason_acls(),
        deny_infos=_deny_infos(),
        header_kilobytes=HEADER_KILOBYTES,
        body_kilobytes=body_kilobytes,
        buffer_kilobytes=body_kilobytes + 1_024,
        connect_seconds=settings.connect_seconds,
        stop_seconds=settings.stop_seconds,
        ledger=_ledger(),
    )


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _bucket_acl(regions: tuple[str, ...]) -> str:
    """Hosts that are a bucket's or an account's: only the judge knows whose.  Without dots, as TLS needs."""
    if not regions:
        return "acl bucket dstdom_regex -n ^$"
    where = f"({'|'.join(regions)})"
    bucket = rf"^[a-z0-9][a-z0-9-]{{1,61}}[a-z0-9]\.s3\.{where}\.amazonaws\.com$"
    account = rf"^[0-9]{{12}}\.s3-control\.{where}\.amazonaws\.com$"
    return f"acl bucket dstdom_regex -n {bucket} {account}"


def _reason_acls() -> str:
    """Each rule ends in an ACL of its own that always matches and notes why; `deny_info` goes by it."""
    reasons = (*BEFORE, *AT_THE_DOOR, *AT_A_SITE, *INSIDE, "allowed", "ticket")
    return "\n".join(f"acl why_{reason} annotate_transaction {_notes(reason)}" for reason in reasons)


def _notes(reason: str) -> str:
    word = reason.removeprefix("site_").removeprefix("inner_").removesuffix(JSON)
    return f"reason={word} tripwire=yes" if word == "tripwire" else f"reason={word}"


def _deny_infos() -> str:
    before = [f"deny_info 407:ERR_EGRESS_DENIED why_{reason}" for reason in AT_THE_DOOR]
    inside = [
        f"deny_info 403:ERR_EGRESS_DENIED{JSON.upper() * reason.endswith(JSON)} why_{reason}"
        for reason in (*BEFORE, *AT_A_SITE, *INSIDE)
    ]
    return "\n".join((*before, *inside))


def _ledger() -> str:
    numbers = [f'"{name}":{form}' for name, form in LEDGER_NUMBERS.items()]
    texts = [f'"{name}":"{form}"' for name, form in LEDGER.items()]
    return "{" + ",".join((*numbers, *texts)) + "}"


def settings_from(path: Path) -> GatewaySettings:
    """The settings of a JSON file; its region is that of the environment, where that has one.

    Raises ConfigurationError for anything but settings.
    """
    try:
        settings = msgspec.json.decode(path.read_bytes(), type=GatewaySettings)
    except (OSError, msgspec.DecodeError) as exc:
        raise ConfigurationError(f"The gateway's settings {path} cannot be read: {exc}.") from exc
    return replace(settings, region=os.environ.get(REGION_VARIABLE) or settings.region)


if __name__ == "__main__":
    sys.stdout.write(render(settings_from(Path(sys.argv[1]))))
