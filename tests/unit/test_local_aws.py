"""Clients of the local cloud reach loopback, whatever the user's shell holds."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import SimpleNamespace

import pytest

from glovebox.errors import RefusedError
from glovebox.local.aws import ACCOUNT, Credentials, LocalAws, clean_environment, require_loopback

SERVICES = ("cloudformation", "dynamodb", "ecs", "events", "lambda", "logs", "s3", "scheduler", "sts")
CREDENTIALS = Credentials(ACCOUNT, "local-secret")


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.amazonaws.com",
        "https://10.0.0.1:4566",
        "https://localhost:4566",
        "https://127.0.0.1.example.org",
        "https://127.0.0.1@example.org",
        "https://user@127.0.0.1:4566",
        "https://2130706433",
        "https://0.0.0.0:4566",
        "https://[::ffff:10.0.0.1]:4566",
        "file://127.0.0.1/",
        "127.0.0.1:4566",
        "",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    with pytest.raises(RefusedError):
        require_loopback(url)
    with pytest.raises(RefusedError):
        LocalAws(url, Path("/nonexistent"), CREDENTIALS)


@pytest.mark.parametrize("url", ["https://127.0.0.1:4566", "http://127.1.2.3", "https://[::1]:4566"])
def test_loopback_in_figures_is_accepted(url: str) -> None:
    assert require_loopback(url) == url


@pytest.mark.parametrize("service", SERVICES)
def test_the_users_environment_and_files_change_nothing(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion = eu-west-1\nendpoint_url = https://real.example\nca_bundle = /real.pem\n"
        "[profile prod]\nrole_arn = arn:aws:iam::1:role/x\nservices = s\n"
        f"[services s]\n{service} =\n  endpoint_url = https://real.example\n"
    )
    hostile = {
        "AWS_ACCESS_KEY_ID": "AKIAREALREALREALREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_PROFILE": "prod",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(config),
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "https://real.example",
        f"AWS_ENDPOINT_URL_{service.upper()}": "https://real.example",
        "AWS_CA_BUNDLE": "/real.pem",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "HTTP_PROXY": "http://proxy.example:3128",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    authority = tmp_path / "authority.pem"
    client = LocalAws("https://127.0.0.1:1", authority, CREDENTIALS).client(service)  # type: ignore[call-overload]
    assert client.meta.endpoint_url == "https://127.0.0.1:1"
    assert client.meta.region_name == "us-east-1"
    keys = client._request_signer._credentials
    assert (keys.access_key, keys.secret_key, keys.token) == (ACCOUNT, "local-secret", None)
    session = client._endpoint.http_session
    assert session._verify == str(authority)
    assert session._proxy_config.proxy_url_for("https://127.0.0.1:1") is None


def test_presigned_addresses_of_the_factory_lead_to_loopback(tmp_path: Path) -> None:
    client = LocalAws("https://127.0.0.1:1", tmp_path, CREDENTIALS).client("s3")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "a.b", "Key": "k"})
    assert url.startswith("https://127.0.0.1:1/a.b/k?X-Amz-")


def test_a_child_gets_no_variable_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "prod")
    monkeypatch.setenv("LD_PRELOAD", "x.so")
    assert set(clean_environment({"A": "b"})) == {"PATH", "LANG", "TZ", "A"}


@pytest.mark.parametrize(
    "endpoint", ["", "https://cloudformation.us-east-1.amazonaws.com", "https://localhost:4566"]
)
def test_the_cdk_command_line_is_not_started_without_an_endpoint_on_loopback(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(__file__).parents[2] / "tools" / "cdk-deploy-local"
    loader = SourceFileLoader("cdk_deploy_local", str(path))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    tool = module_from_spec(spec)
    loader.exec_module(tool)
    command = tmp_path / "cdk"
    command.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    command.chmod(0o755)
    monkeypatch.setattr(tool, "CDK", command)
    cloud = SimpleNamespace(endpoint=endpoint, credentials=CREDENTIALS, authority=tmp_path / "authority.pem")
    with pytest.raises(RefusedError):
        tool.cdk("deploy", folder=tmp_path, aws=cloud)
    assert not (tmp_path / "started").exists()
    cloud.endpoint = "https://127.0.0.1:4566"
    tool.cdk("deploy", folder=tmp_path, aws=cloud)
    assert (tmp_path / "started").exists()
