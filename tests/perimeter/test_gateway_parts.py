"""The gateway's parts by themselves: settings, rendered text, lists, tripwires, and the leaf.  No daemon."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from glovebox.errors import ConfigurationError
from squid import allow_list, authority
from squid.hosts import LISTS, bucket_regions, check_name, hosts_of
from squid.render import LEDGER, render, settings_from
from squid.settings import GatewaySettings
from tests.perimeter.attacks import ATTACKER_DEPLOYABLE, LOOK_ALIKES

NOW = datetime.now(UTC)
REVIEWED = sorted(LISTS.glob("*.txt"))
GOOD: dict[str, Any] = {
    "scan_subnets": ("10.0.0.0/24", "fd00::/64"),
    "allow_list": "/g/list.txt",
    "bucket_regions": ("us-east-1",),
    "public_keys": "/g/keys.pem",
    "certificate": "/g/leaf.pem",
    "certificate_key": "/g/leaf.key",
    "upstream_authorities": "/g/roots.pem",
    "name_servers": ("10.0.0.2",),
}


# ---------------------------------------------------------------- settings and rendering


@pytest.mark.parametrize(
    "change",
    [
        {"scan_subnets": ()},
        {"scan_subnets": ("0.0.0.0/0",)},
        {"scan_subnets": ("::/0",)},
        {"scan_subnets": ("10.0.0.1/24",)},
        {"private_destinations": ()},
        {"name_servers": ()},
        {"name_servers": ("ns.test",)},
        {"listen": "0.0.0.0\nhttp_access allow all"},
        {"allow_list": '/g/list"\nhttp_access allow all'},
        {"allow_list": "list.txt"},
        {"certificate": "/g/leaf.pem generate-host-certificates=on"},
        {"bucket_regions": (".*",)},
        {"region": "us-east-1 site"},
        {"judge_command": ()},
        {"judge_command": ("/bin/sh", "-c", "true; echo")},
        {"aws_port": 3129},
        {"site_port": 0},
        {"helper_children": 0},
        {"body_bytes": 0},
    ],
    ids=str,
)
def test_settings_that_squid_would_read_otherwise_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        GatewaySettings(**{**GOOD, **change})


def test_the_same_settings_render_the_same_text_without_a_hole() -> None:
    text = render(GatewaySettings(**GOOD))
    assert text == render(GatewaySettings(**GOOD))
    assert "${" not in text
    rules = [line for line in text.splitlines() if line.startswith("http_access")]
    assert rules[-1] == "http_access deny all why_other"
    assert [line.split()[-1] for line in rules if " allow " in line] == ["why_allowed"] * 3


def test_the_judge_is_told_the_region_that_settings_or_environment_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.json"
    file.write_bytes(msgspec.json.encode(GatewaySettings(**GOOD)))
    for variable, told in (("", ""), ("eu-west-1", "eu-west-1")):
        monkeypatch.setenv("GLOVEBOX_REGION", variable)
        text = render(settings_from(file))
        assert f"squid.helpers.judge_request aws-api {told}\n" in text
        assert "squid.helpers.judge_request site\n" in text
    monkeypatch.setenv("GLOVEBOX_REGION", "x site")
    with pytest.raises(ConfigurationError):
        settings_from(file)


def test_every_rule_that_denies_says_why_and_every_reason_has_an_answer() -> None:
    text = render(GatewaySettings(**GOOD))
    denied = {match[1] for match in re.finditer(r"^http_access deny .*?(why_\w+)", text, re.MULTILINE)}
    rules = re.findall(r"^http_access deny .*$", text, re.MULTILINE)
    assert all("why_" in rule for rule in rules)
    answered = set(re.findall(r"^deny_info \d+:\S+ (why_\w+)$", text, re.MULTILINE))
    assert denied - {"why_ticket"} == answered
    assert denied <= set(re.findall(r"^acl (why_\w+) annotate_transaction", text, re.MULTILINE))


def test_names_are_never_matched_by_reverse_lookup() -> None:
    text = render(GatewaySettings(**GOOD))
    by_name = re.findall(r"^acl \S+ dstdom(?:ain|_regex) .*$", text, re.MULTILINE)
    assert len(by_name) >= 5
    assert all(" -n " in line for line in by_name)


def test_each_text_of_the_ledger_is_encoded_and_bounded() -> None:
    assert all(re.match(r"%#\.\d+", form) for form in LEDGER.values())
    assert sum(int(form[3:].partition(re.sub(r"\d", "", form[3:])[0])[0]) for form in LEDGER.values()) < 3_000


# ---------------------------------------------------------------- allow-lists


def test_the_reviewed_lists_are_what_the_sdks_data_gives(capsys: pytest.CaptureFixture[str]) -> None:
    assert allow_list.main(["--check"]) == 0, capsys.readouterr().out


def test_a_change_shows_and_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(allow_list, "LISTS", tmp_path)
    reviewed = (LISTS / "prowler-us-east-1.txt").read_text()
    (tmp_path / "prowler-us-east-1.txt").write_text(
        reviewed.replace("iam.amazonaws.com", "evil.amazonaws.com")
    )
    assert allow_list.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert "+iam.amazonaws.com" in said
    assert "-evil.amazonaws.com" in said
    assert allow_list.main(["prowler", "--regions", "us-east-1"]) == 0
    assert (tmp_path / "prowler-us-east-1.txt").read_text() == reviewed


@pytest.mark.parametrize("path", REVIEWED, ids=lambda path: path.stem)
def test_a_list_holds_exact_names_of_aws_sorted_and_once(path: Path) -> None:
    hosts = hosts_of(path)
    assert hosts == sorted(set(hosts))
    assert 90 < len(hosts) < 200
    assert {"us-east-1", "us-west-2"} <= set(bucket_regions(hosts))


@pytest.mark.parametrize(
    "name",
    [
        ".amazonaws.com", "amazonaws.com", "*.amazonaws.com", "iam.amazonaws.com.", "IAM.amazonaws.com",
        "iam.api.aws", "iam amazonaws.com", "a..amazonaws.com", "-a.amazonaws.com", "a_b.amazonaws.com",
        f"{'a' * 64}.amazonaws.com",
    ],
)  # fmt: skip
def test_a_list_takes_no_pattern_and_no_other_domain(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        check_name(name)
    (tmp_path / "list").write_text(f"iam.amazonaws.com\n{name}\n")
    with pytest.raises(ConfigurationError):
        hosts_of(tmp_path / "list")


@pytest.mark.parametrize("content", ["", "# nothing\n", "é.amazonaws.com\n"])
def test_an_empty_or_odd_list_is_no_list(content: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(content)
    with pytest.raises(ConfigurationError):
        hosts_of(tmp_path / "list")
    with pytest.raises(ConfigurationError):
        hosts_of(tmp_path / "missing")


# ---------------------------------------------------------------- tripwires

PATTERNS = [
    re.compile(line, re.IGNORECASE)
    for line in (LISTS.parent / "tripwires.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
ALSO_TRIPPED = (
    "x.s3.us-east-1.amazonaws.com", "x.s3-fips.us-east-1.amazonaws.com",
    "123456789012.s3-control.us-east-1.amazonaws.com",
    "x.s3-object-lambda.us-east-1.amazonaws.com", "x.accesspoint.s3-global.amazonaws.com",
    "1.data-kinesis.us-east-1.amazonaws.com", "x.cluster-1.us-east-1.neptune.amazonaws.com",
    "x.cluster-1.us-east-1.docdb.amazonaws.com", "x.1.us-east-1.redshift-serverless.amazonaws.com",
    "b-1.kinesisvideo.us-east-1.amazonaws.com", "x.mediapackage.us-east-1.amazonaws.com",
    "x.grafana-workspace.us-east-1.amazonaws.com", "aps-workspaces.us-east-1.amazonaws.com",
    "x.d.codeartifact.us-east-1.amazonaws.com", "eu-west-1.queue.amazonaws.com",
    "x.emr.us-east-1.amazonaws.com",
    "x.elasticbeanstalk.com", "x.amplifyapp.com", "x.auth.us-east-1.amazoncognito.com",
    "x.execute-api.us-east-1.api.aws",
    "ip-10-0-0-1.ec2.compute.internal",
)  # fmt: skip
"""One a category of what anybody can deploy, beside those of the attack table."""


def tripped(name: str) -> bool:
    return any(pattern.search(name) for pattern in PATTERNS)


@pytest.mark.parametrize("name", [*ATTACKER_DEPLOYABLE, *ALSO_TRIPPED])
def test_every_category_trips(name: str) -> None:
    assert tripped(name)


def test_each_pattern_has_a_name_that_needs_it() -> None:
    known = (*ATTACKER_DEPLOYABLE, *ALSO_TRIPPED, *LOOK_ALIKES)
    idle = [pattern.pattern for pattern in PATTERNS if not any(map(pattern.search, known))]
    assert len(idle) <= 10, idle


@pytest.mark.parametrize("path", REVIEWED, ids=lambda path: path.stem)
def test_no_allowed_name_trips(path: Path) -> None:
    assert [host for host in hosts_of(path) if tripped(host)] == []


# ---------------------------------------------------------------- the leaf

HOSTS = hosts_of(LISTS / "prowler-us-east-1.txt")


def _handshake(minted: authority.Minted, folder: Path, name: str) -> None:
    """Raises SSLError where a client as strict as Python 3.13 would refuse the leaf for `name`."""
    (folder / "leaf.pem").write_bytes(minted.leaf + minted.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "leaf.pem")
    client = ssl.create_default_context(cadata=minted.authority.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    here, there = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(there, server_side=True).close()
        except (ssl.SSLError, OSError):
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(here, server_hostname=name).close()
    finally:
        here.close()
        thread.join()


def test_the_leaf_holds_for_every_host_of_its_list_and_for_buckets(tmp_path: Path) -> None:
    minted = authority.mint(HOSTS, NOW)
    for host in (
        *HOSTS[::9],
        "a-bucket.s3.us-east-1.amazonaws.com",
        "123456789012.s3-control.us-west-2.amazonaws.com",
    ):
        _handshake(minted, tmp_path, host)
    with pytest.raises(ssl.SSLError):
        _handshake(minted, tmp_path, "a.b.ec2.us-east-1.amazonaws.com")


def test_the_authority_is_worth_nothing_outside_its_domain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the name check before it is gone."""
    with pytest.raises(ConfigurationError):
        authority.mint(["www.evil.test"], NOW)
    monkeypatch.setattr(authority, "SUFFIX", ".test")
    with pytest.raises(ssl.SSLError, match="permitted subtree"):
        _handshake(authority.mint(["www.evil.test"], NOW), tmp_path, "www.evil.test")


def test_the_authoritys_key_is_nowhere() -> None:
    minted = authority.mint(HOSTS, NOW)
    assert [b"PRIVATE" in text for text in (minted.authority, minted.leaf, minted.key)] == [
        False,
        False,
        True,
    ]
    key = load_pem_private_key(minted.key, password=None)
    assert key.public_key() != x509.load_pem_x509_certificate(minted.authority).public_key()
