"""The reviewed list of authorities' hosts."""

from __future__ import annotations

from glovebox.scans.model import MAX_ISSUERS
from glovebox.siteaudit.certificates.issuers import issuer_hosts
from glovebox.siteaudit.hosts import parse_hosts


def test_every_line_is_a_canonical_public_name_that_stands_there_once() -> None:
    hosts = issuer_hosts()
    assert list(parse_hosts(hosts, max_hosts=MAX_ISSUERS).hosts) == list(hosts)
    assert 60 <= len(hosts) <= 130


def test_the_authorities_of_most_of_the_web_are_there() -> None:
    wanted = {"r11.c.lencr.org", "e6.i.lencr.org", "crl3.digicert.com", "c.pki.goog", "crt.sectigo.com"}
    assert wanted <= set(issuer_hosts())
