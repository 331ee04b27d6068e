"""How many questions a host costs, and what each kind of server shows in them."""

from __future__ import annotations

import ssl

import pytest

from glovebox.siteaudit.record import VersionReport
from glovebox.siteaudit.tls.observation import TlsObservation
from tests.engine.tls_servers import (
    before,
    ecdsa_leaf,
    listening,
    probe,
    read_client_hello,
    rsa_leaf,
    server_context,
    suites_of,
    tls,
)

pytestmark = pytest.mark.engine

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
SSL20, REFUSED_OLDER, FALLBACK, NO_NAME, OTHER_ORDER = 1, 1, 1, 1, 1
"""Questions beside elimination: SSL 2; TLS 1.1, whose refusal covers 1.0 and SSL 3; and single tests."""


def version_of(observation: TlsObservation, name: str) -> VersionReport:
    return next(version for version in observation.report.versions if version.version == name)


def eliminated(observation: TlsObservation) -> int:
    """The least that elimination needs: one more than the suites of each supported version."""
    return sum(
        len(version.suites) + 1 for version in observation.report.versions if version.supported == "yes"
    )


async def test_elimination_takes_one_question_a_suite_and_one_more() -> None:
    async with listening(tls(server_context(rsa_leaf()))) as server:
        observation, connections = await probe(server.port, test_groups=False)
    assert eliminated(observation) == 8
    assert connections == 8 + SSL20 + REFUSED_OLDER + FALLBACK + NO_NAME
    assert server.connections == connections


async def test_without_questions_about_behaviour_two_fewer_are_asked_and_their_answers_are_unknown() -> None:
    async with listening(tls(server_context(rsa_leaf()))) as server:
        observation, connections = await probe(server.port, test_groups=False, test_behaviour=False)
    assert connections == eliminated(observation) + SSL20 + REFUSED_OLDER
    assert observation.report.sni == "unknown"
    assert observation.report.fallback_scsv == "unknown"


async def test_a_server_that_follows_the_client_costs_no_question_more_in_tls12() -> None:
    context = server_context(rsa_leaf(), server_order=False)
    async with listening(tls(context)) as server:
        observation, connections = await probe(server.port, test_groups=False)
    assert version_of(observation, "TLSv1.2").server_preference == "no"
    assert version_of(observation, "TLSv1.3").server_preference == "no"
    assert connections == eliminated(observation) + SSL20 + REFUSED_OLDER + FALLBACK + NO_NAME + OTHER_ORDER


async def test_every_group_of_openssl_fits_beside_the_suites_in_sixteen_questions() -> None:
    async with listening(tls(server_context(rsa_leaf(), server_order=False))) as server:
        observation, connections = await probe(server.port)
    assert {"x25519", "secp256r1", "secp384r1"} <= set(observation.report.groups)
    assert observation.report.groups_tested
    assert connections <= 16


async def test_a_server_of_tls13_alone_is_asked_once_for_all_older_versions() -> None:
    context = server_context(rsa_leaf(), lowest=TLS13)
    async with listening(tls(context)) as server:
        observation, connections = await probe(server.port, test_groups=False)
    assert observation.usable_versions == ("TLSv1.3",)
    assert [version.supported for version in observation.report.versions] == ["no"] * 5 + ["yes"]
    assert observation.chain == rsa_leaf().chain_der
    assert connections == eliminated(observation) + SSL20 + 1


async def test_old_versions_are_enumerated_in_full() -> None:
    context = server_context(rsa_leaf(), lowest=ssl.TLSVersion.TLSv1, ciphers="AES128-SHA:AES256-SHA")
    async with listening(tls(context)) as server:
        observation, connections = await probe(server.port, test_groups=False)
    aes = {"TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_256_CBC_SHA"}
    found = suites_of(observation)
    assert found["TLSv1.0"] == found["TLSv1.1"] == found["TLSv1.2"] == aes
    assert {suite.key_exchange for suite in version_of(observation, "TLSv1.0").suites} == {"RSA"}
    assert version_of(observation, "SSLv3").supported == "no"
    assert connections >= eliminated(observation)


async def test_extensions_are_read_from_questions_that_are_asked_anyway() -> None:
    context = server_context(ecdsa_leaf(), ciphers="ECDHE+AESGCM:ECDHE+AES")
    async with listening(tls(context)) as server:
        observation, _ = await probe(server.port)
    report = observation.report
    assert report.alpn == ["h2", "http/1.1"]
    assert report.extended_master_secret == "yes"
    assert report.encrypt_then_mac == "yes"
    assert report.session_tickets == "yes"
    assert report.secure_renegotiation == "yes"
    assert report.compression == "no"
    assert report.fallback_scsv == "yes"
    assert report.client_certificate == "none"
    assert report.ocsp_stapled == "no"
    assert observation.chain == ecdsa_leaf().chain_der


async def test_what_a_server_switches_off_is_answered_no() -> None:
    context = server_context(rsa_leaf(), alpn=())
    context.options |= ssl.OP_NO_TICKET
    async with listening(tls(context)) as server:
        observation, _ = await probe(server.port)
    assert observation.report.session_tickets == "no"
    assert observation.report.alpn == []
    assert observation.report.encrypt_then_mac == "unknown", "no suite that it would mean something for"


@pytest.mark.parametrize("versions", [(TLS12, TLS12), (TLS13, TLS13)], ids=["TLS 1.2", "TLS 1.3"])
@pytest.mark.parametrize(
    ("mode", "answer"), [(ssl.CERT_REQUIRED, "required"), (ssl.CERT_OPTIONAL, "requested")]
)
async def test_a_required_client_certificate_is_told_from_a_requested_one(
    versions: tuple[ssl.TLSVersion, ssl.TLSVersion], mode: ssl.VerifyMode, answer: str
) -> None:
    context = server_context(rsa_leaf(), lowest=versions[0], highest=versions[1])
    context.load_verify_locations(cadata=rsa_leaf().chain_pem().decode())
    context.verify_mode = mode
    async with listening(tls(context)) as server:
        observation, _ = await probe(server.port)
    assert observation.report.client_certificate == answer
    assert observation.report.complete
    assert observation.chain


async def test_a_server_with_an_ecdsa_key_keeps_its_curve_on_offer() -> None:
    """TLS 1.2 needs the key's curve among the groups, so leaving it out would hide suites."""
    context = server_context(ecdsa_leaf(), highest=TLS12, server_order=False)
    async with listening(tls(context)) as server:
        observation, _ = await probe(server.port)
    assert suites_of(observation)["TLSv1.2"] == {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    }
    assert "x25519" in observation.report.groups


async def test_the_chain_of_tls13_is_given_apart_where_it_differs() -> None:
    rsa, ecdsa = server_context(rsa_leaf(), highest=TLS12), server_context(ecdsa_leaf(), lowest=TLS13)
    async with listening(tls(rsa)) as old, listening(tls(ecdsa)) as new:

        def port_for(hello: bytes) -> int:
            read = read_client_hello(hello)
            return new.port if read is not None and read.tls13 else old.port

        async with listening(before(port_for)) as front:
            observation, _ = await probe(front.port)
    assert observation.chain == rsa_leaf().chain_der
    assert observation.chain_tls13 == ecdsa_leaf().chain_der
    assert observation.usable_versions == ("TLSv1.3", "TLSv1.2")
