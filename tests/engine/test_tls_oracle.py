"""Suite by suite, what the prober says is what `openssl s_client` proves."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from glovebox.farm.running import environment
from tests.engine.tls_servers import authority, ecdsa_leaf, openssl_server, probe, rsa_leaf, suites_of

pytestmark = [pytest.mark.engine, pytest.mark.openssl]

FLAGS: Mapping[str, str] = {
    "TLSv1.0": "-tls1",
    "TLSv1.1": "-tls1_1",
    "TLSv1.2": "-tls1_2",
    "TLSv1.3": "-tls1_3",
}
SERVERS: Mapping[str, tuple[str, ...]] = {
    "ALL, two certificates": ("-cipher", "ALL:@SECLEVEL=0", "-tls1_2", "-no_etm"),
    "old versions": ("-cipher", "HIGH:!aNULL:@SECLEVEL=0", "-serverpref"),
}


def _candidates(folder: Path) -> list[tuple[str, str, str]]:
    """(standard name, OpenSSL name, version of its definition) of every suite that this OpenSSL speaks."""
    listing = subprocess.run(
        ["openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env=environment(folder),
    ).stdout
    rows = re.findall(r"- (\S+)\s+- (\S+)\s+(\S+)\s+Kx=(\S+)\s+Au=(\S+)", listing)
    return [
        (name, own, since) for name, own, since, exchange, signed in rows if "PSK" not in exchange + signed
    ]


def _accepts(folder: Path, port: int, version: str, own_name: str) -> bool:
    choice = ["-ciphersuites", own_name] if version == "TLSv1.3" else ["-cipher", f"{own_name}:@SECLEVEL=0"]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", FLAGS[version], *choice]
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
        env=environment(folder),
    )
    return b"Cipher is (NONE)" not in result.stdout and b"Cipher is" in result.stdout


def _proved(folder: Path, port: int) -> dict[str, set[str]]:
    candidates = _candidates(folder)
    questions = [
        (version, name, own)
        for version in FLAGS
        for name, own, since in candidates
        if (since == "TLSv1.3") == (version == "TLSv1.3") and (since != "TLSv1.2" or version == "TLSv1.2")
    ]
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda question: _accepts(folder, port, question[0], question[2]), questions)
    proved: dict[str, set[str]] = {}
    for (version, name, _), accepted in zip(questions, answers, strict=True):
        if accepted:
            proved.setdefault(version, set()).add(name)
    return proved


@pytest.mark.parametrize("arguments", SERVERS.values(), ids=SERVERS.keys())
async def test_suites_equal_what_openssl_proves_one_by_one(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    rsa, ecdsa = rsa_leaf().write(tmp_path / "rsa.pem"), ecdsa_leaf().write(tmp_path / "ecdsa.pem")
    keys = ("-cert", str(rsa), "-key", str(rsa), "-dcert", str(ecdsa), "-dkey", str(ecdsa))
    with openssl_server(tmp_path, *keys, *arguments) as port:
        observation, connections = await probe(port, site_timeout=300.0)
        assert suites_of(observation) == _proved(tmp_path, port)
        found = sum(len(version.suites) for version in observation.report.versions)
        assert observation.report.complete
        assert connections <= found + 20


async def test_a_staple_comes_out_as_the_server_sends_it(tmp_path: Path) -> None:
    issued = rsa_leaf()
    pem = issued.write(tmp_path / "rsa.pem")
    staple = tmp_path / "staple.der"
    staple.write_bytes(authority().ocsp_response(issued.certificate))
    with openssl_server(tmp_path, "-cert", str(pem), "-key", str(pem), "-status_file", str(staple)) as port:
        stapled, _ = await probe(port)
    assert stapled.ocsp_staple == staple.read_bytes()
    assert stapled.report.ocsp_stapled == "yes"
    assert stapled.chain == issued.chain_der[:1]
    assert stapled.chain_tls13 == ()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_without_a_staple_the_answer_is_no(tmp_path: Path, version: str) -> None:
    pem = rsa_leaf().write(tmp_path / "rsa.pem")
    with openssl_server(tmp_path, "-cert", str(pem), "-key", str(pem), version) as port:
        observation, _ = await probe(port)
    assert observation.ocsp_staple is None
    assert observation.report.ocsp_stapled == "no"
    assert len(observation.chain) == 1


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        ("P-256", {"secp256r1"}),
        ("X448:ffdhe3072", {"x448", "ffdhe3072"}),
        ("P-521:X25519:P-384", {"secp521r1", "x25519", "secp384r1"}),
    ],
)
@pytest.mark.parametrize("order", [("-serverpref",), ()], ids=["server's order", "client's order"])
async def test_groups_are_exact(tmp_path: Path, groups: str, names: set[str], order: tuple[str, ...]) -> None:
    pem = rsa_leaf().write(tmp_path / "rsa.pem")
    with openssl_server(tmp_path, "-cert", str(pem), "-key", str(pem), "-groups", groups, *order) as port:
        observation, _ = await probe(port)
    assert set(observation.report.groups) == names
    assert observation.report.groups_tested
    assert len(observation.chain) == 1


@pytest.mark.parametrize("order", [("-serverpref",), ()], ids=["server's order", "client's order"])
async def test_curves_that_only_older_versions_know_are_found(tmp_path: Path, order: tuple[str, ...]) -> None:
    pem = rsa_leaf().write(tmp_path / "rsa.pem")
    groups = ("-groups", "P-256:secp256k1:brainpoolP256r1:P-384")
    with openssl_server(tmp_path, "-cert", str(pem), "-key", str(pem), *groups, *order) as port:
        observation, _ = await probe(port)
    assert set(observation.report.groups) == {"secp256r1", "secp256k1", "brainpoolP256r1", "secp384r1"}
