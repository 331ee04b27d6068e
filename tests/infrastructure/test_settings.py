"""Settings: read as people give them, refused with the place and the way out, and all explained."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from glovebox.errors import ConfigurationError
from stacks.settings import Settings, context_key

DIGEST = "sha256:" + "0" * 64
PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_without_a_context_the_defaults_hold() -> None:
    assert Settings.from_context({"aws:cdk:something": "else"}) == Settings()


def test_text_as_the_command_line_gives_it_is_understood() -> None:
    settings = Settings.from_context(
        {
            "glovebox:architecture": "x86_64",
            "glovebox:python": "3.11",
            "glovebox:schedule": "off",
            "glovebox:emails": "one@example.org, two@example.org",
            "glovebox:shodan": "on",
            "glovebox:shardHosts": "50",
            "glovebox:auditSettings": '{"concurrency": 10}',
            "glovebox:images": json.dumps({"inlet": DIGEST}),
            "glovebox:disposable": "true",
            "glovebox:reserveConcurrency": "off",
        }
    )
    assert settings.emails == ("one@example.org", "two@example.org")
    assert (settings.shodan, settings.disposable, settings.reserve_concurrency) == (True, True, False)
    assert (settings.shard_hosts, settings.schedule) == (50, "off")
    assert settings.audit_settings == '{"concurrency":10}'
    assert settings.images == {"inlet": DIGEST}
    assert settings.platform == "x86_64-manylinux_2_17"


def test_json_as_a_file_gives_it_is_understood() -> None:
    settings = Settings.from_context(
        {
            "glovebox:emails": ["one@example.org"],
            "glovebox:shodan": True,
            "glovebox:shardHosts": 7,
            "glovebox:auditSettings": {"concurrency": 10},
            "glovebox:images": {"outlet": DIGEST},
        }
    )
    assert (settings.emails, settings.shodan, settings.shard_hosts) == (("one@example.org",), True, 7)
    assert settings.audit_settings == '{"concurrency":10}'
    assert settings.images == {"outlet": DIGEST}


def test_bundles_stand_on_the_c_library_of_their_lambda() -> None:
    assert Settings().platform == "aarch64-manylinux_2_28"
    assert Settings(python="3.11").platform == "aarch64-manylinux_2_17"
    assert Settings(bundle_platform="macos").platform == "macos"


@pytest.mark.parametrize(
    ("host", "api"),
    [
        ("github.com", "https://api.github.com"),
        ("github.example.org", "https://github.example.org/api/v3"),
        ("github.example.org:8443", "https://github.example.org:8443/api/v3"),
    ],
)
def test_a_hosts_api_is_where_github_has_it(host: str, api: str) -> None:
    assert Settings.from_context({"glovebox:githubHost": host}).github_api == api


def test_repositories_are_scanned_as_the_settings_say() -> None:
    settings = Settings.from_context(
        {
            "glovebox:repositoriesSchedule": "cron(0 3 ? * SUN *)",
            "glovebox:repositoryScanners": "kingfisher, trivy",
            "glovebox:trivyDatabase": "rate(1 day)",
            "glovebox:images": json.dumps({"trivybinary": DIGEST}),
        }
    )
    assert settings.repositories_schedule == "cron(0 3 ? * SUN *)"
    assert settings.repository_scanners == ("kingfisher", "trivy")
    assert settings.trivy_database == "rate(1 day)"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("architecture", "sparc"),
        ("python", "3.10"),
        ("bundlePlatform", "../x"),
        ("schedule", "every day"),
        ("accountsSchedule", "every day"),
        ("regionsPerScan", "0"),
        ("serviceParts", "9"),
        ("repositoriesSchedule", "every day"),
        ("repositoryScanners", ""),
        ("repositoryScanners", "trivy,trivy"),
        ("repositoryScanners", "trivy,semgrep"),
        ("githubHost", "https://github.com"),
        ("githubHost", "GitHub.com"),
        ("githubHost", "github.com/acme"),
        ("trivyDatabase", "daily"),
        ("trivyDatabase", "at(2026-01-01T00:00:00)"),
        ("trivyDatabase", "rate(1 day)"),
        ("scanS3Endpoint", "vpc-0123456789abcdef0"),
        ("images", '{"prowler": "5.46.0"}'),
        ("targets", "111122223333"),
        ("listKey", ""),
        ("listKey", "my list.txt"),
        ("emails", "nobody"),
        ("emails", 5),
        ("shodan", "perhaps"),
        ("shodan", 1),
        ("shardHosts", "0"),
        ("shardHosts", "501"),
        ("shardHosts", "many"),
        ("shardHosts", True),
        ("auditSettings", "{"),
        ("auditSettings", '{"concurency": 10}'),
        ("auditSettings", '{"concurrency": 0}'),
        ("auditSettings", '{"allowedNetworks": ["10.0.0.0/8"]}'),
        ("auditSettings", '{"extraRoots": "-----BEGIN CERTIFICATE-----"}'),
        ("images", "[]"),
        ("images", '{"scanner": "' + DIGEST + '"}'),
        ("images", '{"inlet": "latest"}'),
        ("logRetentionDays", "31"),
        ("apiRate", "0"),
        ("apiBurst", "-1"),
        ("reserveConcurrency", ""),
        ("disposable", "no"),
        ("domain", "audit.example.org"),
        ("certificate", "arn:aws:acm:us-east-1:111122223333:certificate/x"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Settings.from_context({f"glovebox:{key}": value})
    pair = {"certificate": "domain", "targets": "externalId"}
    assert f"glovebox:{pair.get(key, key)}" in refusal.value.reason
    assert "docs/settings.md" in refusal.value.fix


def test_a_certificate_of_another_region_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="us-east-1"):
        Settings(domain="audit.example.org", certificate="arn:aws:acm:eu-west-1:111122223333:certificate/x")


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no setting 'glovebox:emial'"):
        Settings.from_context({"glovebox:emial": "one@example.org"})


@pytest.mark.parametrize("name", [each.name for each in fields(Settings)])
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    default = getattr(Settings(), name)
    if isinstance(default, bool):
        shown = "on" if default else "off"
    elif isinstance(default, tuple):
        shown = ",".join(default)
    else:
        shown = str(default)
    row = next(
        line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{context_key(name)}` |")
    )
    assert row.split("|")[2].strip() == (f"`{shown}`" if shown != "" else "none")
