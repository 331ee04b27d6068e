"""The table of cipher suites is complete, consistent, and agrees with OpenSSL's names."""

from __future__ import annotations

import re
import subprocess

import pytest

from glovebox.siteaudit.tls.hello import SSL30, TLS10, TLS11, TLS12, TLS13
from glovebox.siteaudit.tls.suite_table import TABLE
from glovebox.siteaudit.tls.suites import COMMON_SUITES, SUITES, Exchange, suites_of


def test_no_code_and_no_name_stands_twice() -> None:
    lines = TABLE.splitlines()
    assert len(SUITES) == len(lines)
    assert len({suite.name for suite in SUITES.values()}) == len(lines)


@pytest.mark.parametrize(
    ("code", "name", "openssl_name", "exchange", "since_tls12"),
    [
        (0x0005, "TLS_RSA_WITH_RC4_128_SHA", "RC4-SHA", Exchange.RSA, False),
        (0x000A, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "DES-CBC3-SHA", Exchange.RSA, False),
        (0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "DHE-RSA-AES128-SHA", Exchange.DHE, False),
        (0x0034, "TLS_DH_anon_WITH_AES_128_CBC_SHA", "ADH-AES128-SHA", Exchange.DHE, False),
        (0x003C, "TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256", Exchange.RSA, True),
        (0x1301, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", Exchange.TLS13, False),
        (
            0xC02F,
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
            Exchange.ECDHE,
            True,
        ),
        (0xC004, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", "ECDH-ECDSA-AES128-SHA", Exchange.STATIC, False),
        (0xC09C, "TLS_RSA_WITH_AES_128_CCM", "AES128-CCM", Exchange.RSA, True),
        (0x001E, "TLS_KRB5_WITH_DES_CBC_SHA", None, Exchange.OTHER, False),
    ],
)
def test_known_suites_are_described_as_the_standards_do(
    code: int, name: str, openssl_name: str | None, exchange: Exchange, since_tls12: bool
) -> None:
    suite = SUITES[code]
    assert (suite.name, suite.openssl_name, suite.exchange, suite.since_tls12) == (
        name,
        openssl_name,
        exchange,
        since_tls12,
    )


def test_each_version_offers_what_may_be_negotiated_in_it() -> None:
    assert {SUITES[code].exchange for code in suites_of(TLS13)} == {Exchange.TLS13}
    assert set(suites_of(TLS12)) | set(suites_of(TLS13)) == set(SUITES)
    for version in (TLS11, TLS10, SSL30):
        assert not any(SUITES[code].since_tls12 for code in suites_of(version))
    assert set(COMMON_SUITES) <= set(suites_of(TLS12))


def test_a_question_starts_with_what_a_modern_client_prefers() -> None:
    assert SUITES[suites_of(TLS12)[0]].name == "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    assert suites_of(TLS13)[0] == 0x1301


@pytest.mark.openssl
def test_names_agree_with_openssl() -> None:
    """Every suite that the installed OpenSSL knows has the same standard name and OpenSSL name here."""
    listing = subprocess.run(
        ["openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout
    rows = re.findall(r"0x(\w\w),0x(\w\w) - (\S+)\s+- (\S+)", listing)
    assert len(rows) > 50
    for high, low, name, openssl_name in rows:
        suite = SUITES[int(high + low, 16)]
        assert (suite.name, suite.openssl_name) == (name, openssl_name)
