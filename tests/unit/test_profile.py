"""Mozilla's profiles: what a server keeps, and in plain words what keeps it from the next better one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from glovebox.siteaudit import mozilla
from glovebox.siteaudit.failures import make_failure
from glovebox.siteaudit.profile import MAX_REASONS, rate_profile
from glovebox.siteaudit.record import Answer, CertificateSummary, Suite, TlsReport, VersionName, VersionReport
from glovebox.siteaudit.tls.groups import GROUPS
from glovebox.siteaudit.tls.suites import SUITES

VERSIONS: tuple[VersionName, ...] = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
T13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
T12 = ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256")
GOOD_GROUPS = ["X25519MLKEM768", "x25519", "secp256r1", "secp384r1"]
ECDSA = CertificateSummary(
    subject="CN=a",
    issuer="CN=b",
    serial_number="1",
    not_before="2026-05-01T00:00:00Z",
    not_after="2026-07-01T00:00:00Z",
    key_type="ECDSA",
    key_bits=256,
    key_curve="prime256v1",
    signature_algorithm="ecdsa-with-SHA256",
    fingerprint_sha256="00",
)
RSA = replace(
    ECDSA, key_type="RSA", key_bits=2048, key_curve=None, signature_algorithm="sha256WithRSAEncryption"
)


def server(
    offered: dict[VersionName, tuple[str, ...]],
    *,
    groups: list[str] | None = None,
    answers: dict[VersionName, Answer] | None = None,
    exchange: str | None = None,
) -> TlsReport:
    """A server that offers these suites of these versions and nothing else, all of it tested."""
    versions = [
        VersionReport(
            version=version,
            supported=(answers or {}).get(version, "yes" if version in offered else "no"),
            suites=[Suite(name=name, code=1, key_exchange=exchange) for name in offered.get(version, ())],
        )
        for version in VERSIONS
    ]
    return TlsReport(
        address="192.0.2.1",
        port=443,
        versions=versions,
        groups=GOOD_GROUPS if groups is None else groups,
        groups_tested=True,
    )


MODERN = server({"TLSv1.3": T13})
INTERMEDIATE = server({"TLSv1.2": T12, "TLSv1.3": T13})


def test_tls_1_3_alone_with_an_ecdsa_certificate_is_modern() -> None:
    assert rate_profile(MODERN, ECDSA) == ("modern", [])
    assert rate_profile(server({"TLSv1.3": T13[:1]}, groups=["x25519"]), ECDSA) == ("modern", [])


@pytest.mark.parametrize(
    ("report", "leaf", "reason"),
    [
        (MODERN, RSA, "The certificate's key is RSA 2048, not ECDSA on P-256 or P-384."),
        (
            MODERN,
            replace(ECDSA, signature_algorithm="sha256WithRSAEncryption"),
            "The certificate is signed with sha256WithRSAEncryption, not with ECDSA.",
        ),
        (
            server({"TLSv1.3": T13}, groups=[*GOOD_GROUPS, "x448"]),
            ECDSA,
            "Accepts the group x448, which is not on the list.",
        ),
    ],
)
def test_one_thing_keeps_tls_1_3_from_modern(
    report: TlsReport, leaf: CertificateSummary, reason: str
) -> None:
    assert rate_profile(report, leaf) == ("intermediate", [reason])


def test_forward_secret_aead_suites_are_intermediate_with_either_key() -> None:
    profile, reasons = rate_profile(INTERMEDIATE, ECDSA)
    assert profile == "intermediate"
    assert reasons == ["Offers TLSv1.2.", *(f"Offers {name} (not on the guideline's list)." for name in T12)]
    assert rate_profile(INTERMEDIATE, RSA)[0] == "intermediate"
    assert rate_profile(server({"TLSv1.2": T12}), RSA)[0] == "intermediate"


@pytest.mark.parametrize(
    ("suite", "reason"),
    [
        ("TLS_RSA_WITH_AES_128_CBC_SHA", "no forward secrecy"),
        ("TLS_RSA_WITH_AES_256_GCM_SHA384", "no forward secrecy"),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", "CBC mode"),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", "3DES, broken by long connections: Sweet32"),
        ("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "finite-field Diffie-Hellman, dropped in guideline 5.8"),
    ],
)
def test_a_suite_that_keeps_a_server_at_old(suite: str, reason: str) -> None:
    report = server({"TLSv1.2": (*T12, suite), "TLSv1.3": T13})
    assert rate_profile(report, RSA) == ("old", [f"Offers {suite} ({reason})."])


def test_old_versions_keep_a_server_at_old() -> None:
    report = server({"TLSv1.0": ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",), "TLSv1.2": T12})
    assert rate_profile(report, RSA) == (
        "old",
        ["Offers TLSv1.0.", "Offers TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA (CBC mode)."],
    )


@pytest.mark.parametrize(
    ("suite", "reason"),
    [
        ("TLS_RSA_WITH_RC4_128_SHA", "a broken cipher"),
        ("TLS_RSA_WITH_DES_CBC_SHA", "a broken cipher"),
        ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", "export strength, broken in minutes"),
        ("TLS_RSA_WITH_NULL_SHA", "no encryption"),
        ("TLS_DH_anon_WITH_AES_128_CBC_SHA", "nobody proves who the server is"),
        ("TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256", "not on the guideline's list"),
        ("TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", "3DES, broken by long connections: Sweet32"),
    ],
)
def test_a_suite_that_no_profile_has(suite: str, reason: str) -> None:
    report = server({"TLSv1.0": (suite,), "TLSv1.2": (*T12, suite)})
    assert rate_profile(report, RSA) == ("none", [f"Offers {suite} ({reason})."])


@pytest.mark.parametrize("version", ["SSLv2", "SSLv3"])
def test_ssl_is_in_no_profile(version: VersionName) -> None:
    profile, reasons = rate_profile(server({version: ("TLS_RSA_WITH_AES_128_CBC_SHA",), "TLSv1.2": T12}), RSA)
    assert (profile, reasons) == ("none", [f"Offers {version}."])


@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        (replace(RSA, key_bits=1024), "The certificate's key is RSA 1024"),
        (replace(ECDSA, key_type="Ed25519", key_curve=None), "The certificate's key is Ed25519 256"),
        (replace(ECDSA, key_curve="secp521r1"), "The certificate's key is ECDSA secp521r1"),
        (replace(RSA, signature_algorithm="sha1WithRSAEncryption"), "signed with sha1WithRSAEncryption"),
        (None, "The certificate is not known."),
    ],
)
def test_a_certificate_that_no_profile_has(leaf: CertificateSummary | None, reason: str) -> None:
    profile, reasons = rate_profile(INTERMEDIATE, leaf)
    assert profile == "none"
    assert len(reasons) == 1
    assert reason in reasons[0]


def test_small_diffie_hellman_is_in_no_profile() -> None:
    suites = ("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",)
    assert rate_profile(server({"TLSv1.2": suites}, exchange="DH 2048"), RSA)[0] == "old"
    report = server({"TLSv1.2": suites}, exchange="DH 1024")
    assert rate_profile(report, RSA) == ("none", ["Uses Diffie-Hellman of 1024 bits."])


def test_groups_of_a_library_s_defaults_cost_modern_and_no_more() -> None:
    report = server({"TLSv1.2": T12, "TLSv1.3": T13}, groups=[*GOOD_GROUPS, "secp521r1", "x448", "ffdhe2048"])
    assert rate_profile(report, RSA)[0] == "intermediate"
    binary = server({"TLSv1.2": T12}, groups=[*GOOD_GROUPS, "sect283k1"])
    assert rate_profile(binary, RSA) == ("old", ["Accepts the group sect283k1, which is not on the list."])
    weak = server({"TLSv1.2": T12}, groups=["secp192r1"])
    assert rate_profile(weak, RSA) == ("none", ["Accepts the weak group secp192r1."])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_that_could_not_be_tested_counts_as_not_kept(version: VersionName) -> None:
    offered: dict[VersionName, tuple[str, ...]] = {"TLSv1.2": T12, "TLSv1.3": T13}
    profile, reasons = rate_profile(server(offered, answers={version: "unknown"}), RSA)
    assert profile == "none"
    assert reasons == [f"Whether it offers {version} could not be tested."]


def test_suites_and_groups_that_could_not_be_tested_count_as_not_kept() -> None:
    cut = replace(MODERN.versions[-1], failure=make_failure("tls_timeout"))
    report = replace(MODERN, versions=[*MODERN.versions[:-1], cut])
    assert rate_profile(report, ECDSA) == ("none", ["Not all suites of TLSv1.3 could be tested."])
    profile, reasons = rate_profile(replace(INTERMEDIATE, groups=[], groups_tested=False), RSA)
    assert (profile, reasons) == ("old", ["Its key-exchange groups were not tested."])


def test_a_server_without_tls_keeps_no_profile() -> None:
    profile, reasons = rate_profile(server({}), None)
    assert profile == "none"
    assert reasons == ["Offers none of TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3.", "The certificate is not known."]
    assert rate_profile(TlsReport(address="192.0.2.1", port=443), None)[0] == "none"


def test_reasons_fit_the_record() -> None:
    names = tuple(f"TLS_RSA_WITH_RC4_{number}" for number in range(150))
    profile, reasons = rate_profile(server({"TLSv1.2": names}), RSA)
    assert profile == "none"
    assert len(reasons) == MAX_REASONS
    assert reasons[-1] == "And 51 more reasons."


def test_the_guideline_s_names_are_those_that_the_prober_reports() -> None:
    known = {suite.name for suite in SUITES.values()}
    assert known >= mozilla.TLS13_SUITES | mozilla.OLD_SUITES | mozilla.FORMER_SUITES
    assert set(GROUPS.values()) >= mozilla.GROUPS | mozilla.STRONG_GROUPS | mozilla.WEAK_GROUPS
    assert (len(mozilla.INTERMEDIATE_SUITES), len(mozilla.OLD_SUITES)) == (6, 21)
