"""What a deployment may choose: read once, in `app.py`, from the CDK's context.

Each setting is a context key with the prefix `glovebox:` (`cdk deploy -c glovebox:emails=me@example.org`, or
the `context` of cdk.json); `docs/settings.md` explains them.  A key that nobody knows is an error, because a
misspelt setting would otherwise be dropped in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Address
from typing import Any

import msgspec

from glovebox.envelopes.names import MAX_REGIONS
from glovebox.errors import ConfigurationError
from glovebox.registry.shards import MAX_SERVICE_PARTS
from glovebox.scans.model import DEFAULT_SHARD_HOSTS, MAX_SHARD_HOSTS
from glovebox.scans.repositories import REPOSITORY_SCANNERS
from glovebox.siteaudit.settings import AuditSettings

PREFIX = "glovebox:"

ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Lambda's name of a processor → Python's."""
PYTHONS = {"3.11": "manylinux_2_17", "3.12": "manylinux_2_28", "3.13": "manylinux_2_28"}
"""Lambda's Pythons → the C library below them: 3.11 still stands on Amazon Linux 2, which is older."""
RETENTION_DAYS = (7, 14, 30, 60, 90, 180, 365, 731)
"""Of the periods that CloudWatch Logs offers, those that make sense for a security log."""
IMAGES = ("inlet", "outlet", "siteaudit", "drill", "squid")
"""Ours, which the deployment builds."""
UPSTREAM_IMAGES = ("prowler", "trivybinary", "trufflehog", "kingfisher")
"""Others' images, which a person copies by digest as they are."""
DATA_IMAGE, TRIVY_UPSTREAM = "trivy", "trivybinary"
"""What Trivy's task runs: the upstream image with the day's database, baked here."""
PROMOTED = (*IMAGES, *UPSTREAM_IMAGES, DATA_IMAGE)
DRILLED = ("inlet", "outlet", "drill", "squid")
"""What a drill needs: with these promoted it runs every week."""
GITHUB = "github.com"
UNPROMOTED = "unpromoted"
"""The tag that a task names while no digest is promoted.  No image carries it: such a task cannot start."""

GATEWAY_SIZES = ("nano", "micro", "small")
"""A nano carries what a few accounts and a site list need; its credits are the limit, not its memory."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_SCHEDULE = re.compile(r"(cron|rate|at)\(.+\)")
_RULE_SCHEDULE = re.compile(r"(cron|rate)\(.+\)")
_DAILY = re.compile(
    r"cron\(\S+ \S+ [*?] \* [*?] \*\)"  # minutes, hours; every day of the month, month, day of the week, year
    r"|rate\((1 day|[0-9]+ minutes?|([1-9]|1[0-9]|2[0-4]) hours?)\)"
)
_ACCOUNT = re.compile(r"[0-9]{12}")
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9-]{16,128}")
_ENDPOINT = re.compile(r"vpce-[0-9a-f]{8,17}")
_UNIT = re.compile(r"r-[a-z0-9]{4,32}|ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_GITHUB_HOST = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}(:[0-9]{1,5})?")
_CERTIFICATE = re.compile(r"arn:aws[a-z-]*:acm:us-east-1:[0-9]{12}:certificate/\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One deployment's choices.  Raises ConfigurationError for values that make no sense."""

    architecture: str = "arm64"
    python: str = "3.13"
    bundle_platform: str = ""
    schedule: str = "cron(0 2 * * ? *)"
    list_key: str = "hosts.txt"
    emails: tuple[str, ...] = ()
    shodan: bool = False
    shard_hosts: int = DEFAULT_SHARD_HOSTS
    accounts_schedule: str = "off"
    regions_per_scan: int = 4
    service_parts: int = 1
    repositories_schedule: str = "off"
    repository_scanners: tuple[str, ...] = ("trivy", "trufflehog")
    github_host: str = GITHUB
    trivy_database: str = "off"
    audit_settings: str = "{}"
    images: Mapping[str, str] = field(default_factory=dict)
    log_retention_days: int = 90
    api_rate: int = 20
    api_burst: int = 40
    reserve_concurrency: bool = True
    disposable: bool = False
    domain: str = ""
    certificate: str = ""
    zones: int = 1
    gateway_size: str = "nano"
    targets: tuple[str, ...] = ()
    regions: tuple[str, ...] = ("us-east-1",)
    external_id: str = ""
    scan_s3_endpoint: str = ""
    scanning_account: str = ""
    gateway_addresses: tuple[str, ...] = ()
    gateway_s3_endpoint: str = ""
    organizational_units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, wanted in _RULES.items():
            wanted(name, getattr(self, name))
        if bool(self.domain) != bool(self.certificate):
            raise _bad("domain", self.domain, "`domain` and `certificate` together, or neither")
        if self.trivy_database != "off" and TRIVY_UPSTREAM not in self.images:
            raise _bad(
                "trivy_database", self.trivy_database, f"`off` until `images` names `{TRIVY_UPSTREAM}`"
            )
        self._check_target_side()

    def _check_target_side(self) -> None:
        never_ourselves(self.scanning_account, self.targets)
        if self.targets and not self.external_id:
            raise _bad("external_id", self.external_id, "given beside `targets`")
        needed = ("gateway_addresses", "gateway_s3_endpoint", "external_id")
        for name in needed if self.scanning_account else ():
            if not getattr(self, name):
                raise _bad(name, getattr(self, name), "given beside `scanningAccount`")
        for name in ("gateway_addresses", "gateway_s3_endpoint", "organizational_units"):
            if getattr(self, name) and not self.scanning_account:
                raise _bad(name, getattr(self, name), "given beside `scanningAccount`, or not at all")

    @property
    def platform(self) -> str:
        """What uv calls the machine that the bundles run on."""
        return self.bundle_platform or f"{ARCHITECTURES[self.architecture]}-{PYTHONS[self.python]}"

    @property
    def is_daily(self) -> bool:
        """Whether the list is audited every day, so that a day without a run is worth an alarm."""
        return _DAILY.fullmatch(self.schedule) is not None

    @property
    def github_api(self) -> str:
        """Where the host's API is; an Enterprise server has it under its own name."""
        return f"https://api.{GITHUB}" if self.github_host == GITHUB else f"https://{self.github_host}/api/v3"

    @property
    def drills(self) -> bool:
        """Whether the escape drill can run, so that a week without one is worth an alarm."""
        return self.images.keys() >= set(DRILLED)

    @classmethod
    def from_context(cls, context: Mapping[str, object]) -> Settings:
        """Reads the keys that start with `glovebox:`; values may be text, as `-c` gives them, or JSON."""
        known = {f"{PREFIX}{_camel(each.name)}": each.name for each in fields(cls)}
        given = {key: value for key, value in context.items() if key.startswith(PREFIX)}
        for key in given.keys() - known.keys():
            raise ConfigurationError(
                f"There is no setting {key!r}.", fix=f"Settings are: {', '.join(sorted(known))}."
            )
        return cls(**{known[key]: _READERS[known[key]](known[key], value) for key, value in given.items()})


def never_ourselves(account: str, targets: tuple[str, ...]) -> None:
    """Raises ConfigurationError where `account`, which scans, is among the targets.

    A scanner that may describe the tasks of its own account reads what other scans are given.
    """
    if account and account in targets:
        raise _bad("targets", ",".join(targets), f"accounts other than {account}, which does the scanning")


def context_key(name: str) -> str:
    """The context key of the field `name`."""
    return f"{PREFIX}{_camel(name)}"


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _bad(name: str, value: object, wanted: str) -> ConfigurationError:
    return ConfigurationError(
        f"{context_key(name)} is {value!r}.", fix=f"It must be {wanted}; see docs/settings.md."
    )


# ---------------------------------------------------------------- reading


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _bad(name, value, "text")
    return value.strip()


def _truth(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    known = {"on": True, "true": True, "off": False, "false": False}
    if not isinstance(value, str) or value.lower() not in known:
        raise _bad(name, value, "`on` or `off`")
    return known[value.lower()]


def _number(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    raise _bad(name, value, "a whole number")


def _texts(name: str, value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list):
        raise _bad(name, value, "a list, separated by commas")
    return tuple(filter(None, (_text(name, item) for item in items)))


def _mapping(name: str, value: object) -> dict[str, str]:
    loaded = _loaded(name, value)
    if not isinstance(loaded, dict):
        raise _bad(name, value, "a JSON object")
    return {str(key): _text(name, item) for key, item in loaded.items()}


def _json(name: str, value: object) -> str:
    return json.dumps(_loaded(name, value), separators=(",", ":"), sort_keys=True)


def _loaded(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise _bad(name, value, f"JSON ({error})") from error


# Each field's own type comes out of its reader; one mapping for all of them cannot say so.
_READERS: dict[str, Callable[[str, object], Any]] = {
    "architecture": _text,
    "python": _text,
    "bundle_platform": _text,
    "schedule": _text,
    "list_key": _text,
    "emails": _texts,
    "shodan": _truth,
    "shard_hosts": _number,
    "accounts_schedule": _text,
    "regions_per_scan": _number,
    "service_parts": _number,
    "repositories_schedule": _text,
    "repository_scanners": _texts,
    "github_host": _text,
    "trivy_database": _text,
    "audit_settings": _json,
    "images": _mapping,
    "log_retention_days": _number,
    "api_rate": _number,
    "api_burst": _number,
    "reserve_concurrency": _truth,
    "disposable": _truth,
    "domain": _text,
    "certificate": _text,
    "zones": _number,
    "gateway_size": _text,
    "targets": _texts,
    "regions": _texts,
    "external_id": _text,
    "scan_s3_endpoint": _text,
    "scanning_account": _text,
    "gateway_addresses": _texts,
    "gateway_s3_endpoint": _text,
    "organizational_units": _texts,
}


# ---------------------------------------------------------------- judging

Rule = Callable[[str, object], None]


def _one_of(*choices: object) -> Rule:
    def rule(name: str, value: object) -> None:
        if value not in choices:
            raise _bad(name, value, f"one of {', '.join(str(choice) for choice in choices)}")

    return rule


def _between(least: int, most: int) -> Rule:
    def rule(name: str, value: object) -> None:
        if not isinstance(value, int) or not least <= value <= most:
            raise _bad(name, value, f"between {least} and {most}")

    return rule


def _shaped(pattern: re.Pattern[str], wanted: str, *, may_be: tuple[str, ...] = ()) -> Rule:
    def rule(name: str, value: object) -> None:
        for item in value if isinstance(value, tuple) else (value,):
            if item not in may_be and not pattern.fullmatch(str(item)):
                raise _bad(name, value, wanted)

    return rule


def _audit_settings(name: str, value: object) -> None:
    try:
        audit = msgspec.json.decode(str(value), type=AuditSettings)
    except msgspec.MsgspecError as error:
        raise _bad(name, value, f"what glovebox/siteaudit/settings.py describes ({error})") from error
    if audit.allowed_networks or audit.extra_roots or audit.extra_issuers:
        raise _bad(name, value, "without what is for our own fleet only: its networks, roots and issuers")


def _scanners(name: str, value: object) -> None:
    named = value if isinstance(value, tuple) else ()
    if not named or len(set(named)) < len(named) or not set(named) <= set(REPOSITORY_SCANNERS):
        raise _bad(name, value, f"some of {', '.join(REPOSITORY_SCANNERS)}, each once")


def _addresses(name: str, value: object) -> None:
    for item in value if isinstance(value, tuple) else ():
        try:
            public = IPv4Address(item).is_global
        except ValueError:
            public = False
        if not public:
            raise _bad(name, value, "public IPv4 addresses, separated by commas")


def _images(name: str, value: object) -> None:
    if not isinstance(value, Mapping):
        raise _bad(name, value, "a JSON object")
    for image, digest in value.items():
        if image not in PROMOTED or not _DIGEST.fullmatch(str(digest)):
            raise _bad(name, {image: digest}, f"a digest (sha256:…) for each of {', '.join(PROMOTED)}")


_RULES: dict[str, Rule] = {
    "architecture": _one_of(*ARCHITECTURES),
    "python": _one_of(*PYTHONS),
    "bundle_platform": _shaped(re.compile(r"[a-z0-9_-]+"), "a platform's name as uv knows it", may_be=("",)),
    "schedule": _shaped(_SCHEDULE, "cron(…), rate(…), at(…) or off", may_be=("off",)),
    "list_key": _shaped(re.compile(r"[A-Za-z0-9!_.*'()/-]{1,512}"), "an object's key without blanks"),
    "emails": _shaped(_EMAIL, "addresses, separated by commas"),
    "shard_hosts": _between(1, MAX_SHARD_HOSTS),
    "accounts_schedule": _shaped(_SCHEDULE, "cron(…), rate(…), at(…) or off", may_be=("off",)),
    "regions_per_scan": _between(1, MAX_REGIONS),
    "service_parts": _between(1, MAX_SERVICE_PARTS),
    "repositories_schedule": _shaped(_SCHEDULE, "cron(…), rate(…), at(…) or off", may_be=("off",)),
    "repository_scanners": _scanners,
    "github_host": _shaped(_GITHUB_HOST, "a host's name in lower case, such as github.example.org"),
    "trivy_database": _shaped(_RULE_SCHEDULE, "cron(…), rate(…) or off", may_be=("off",)),
    "audit_settings": _audit_settings,
    "images": _images,
    "log_retention_days": _one_of(*RETENTION_DAYS),
    "api_rate": _between(1, 10_000),
    "api_burst": _between(1, 5_000),
    "domain": _shaped(_DOMAIN, "a domain name in lower case", may_be=("",)),
    "certificate": _shaped(
        _CERTIFICATE, "the ARN of a certificate in us-east-1, where CloudFront looks", may_be=("",)
    ),
    "zones": _between(1, 2),
    "gateway_size": _one_of(*GATEWAY_SIZES),
    "regions": _shaped(_REGION, "names of AWS regions, separated by commas"),
    "targets": _shaped(_ACCOUNT, "account ids of twelve digits, separated by commas"),
    "external_id": _shaped(_EXTERNAL_ID, "16 to 128 letters, digits and hyphens", may_be=("",)),
    "scanning_account": _shaped(_ACCOUNT, "an account id of twelve digits", may_be=("",)),
    "gateway_addresses": _addresses,
    "scan_s3_endpoint": _shaped(_ENDPOINT, "the id of an endpoint (vpce-…)", may_be=("",)),
    "gateway_s3_endpoint": _shaped(_ENDPOINT, "the id of an endpoint (vpce-…)", may_be=("",)),
    "organizational_units": _shaped(_UNIT, "ids of organizational units (ou-…) or the root (r-…)"),
}
