"""The record of one site at one date: what the auditor writes, ingest checks, and files and API give out.

The names down to `shodan` are those that the field has used since Gov-TLS-Audit; ours follow.
Every text has a length cap and every list a count cap, because the same types read reports
back that a hostile scanner may have written.  Unknown values are `None`, never an empty
string that could be mistaken for an answer.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

MAX_WORD = 256
MAX_TEXT = 2_048
MAX_HEADER_TEXT = 4_096

Word = Annotated[str, Meta(max_length=MAX_WORD)]
"""A name, a token, a version: one word or a few."""
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
"""A sentence, a title, an address on the web."""
HeaderText = Annotated[str, Meta(max_length=MAX_HEADER_TEXT)]
Count = Annotated[int, Meta(ge=0, le=1 << 40)]
Number = Annotated[int, Meta(ge=-(1 << 31), le=1 << 31)]
"""Days, scores, codes.  Without a bound JSON holds whole numbers of any length, and tables do not."""
Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]

RedirectType = Literal["HTTP Status Code", "meta-tag", "javascript", "None"]
VersionName = Literal["SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
Answer = Literal["yes", "no", "unknown"]
"""`unknown` means that it could not be tested, which is not the same as tested and absent."""
MozillaProfile = Literal["modern", "intermediate", "old", "none"]


class _Part(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A part of the record: immutable, named in camelCase in JSON, strict when read back."""


class Failure(_Part, frozen=True, kw_only=True):
    """One thing that stopped the audit at some stage, or is wrong with the site's certificate."""

    failure_class: Word
    """A name of `failures.FAILURES`; `tls_alert` carries the alert's name: `tls_alert:handshake_failure`."""
    stage: Word
    fault: Word
    fix: Text
    detail: Text = ""
    """What was seen, in words for the person who repairs it."""
    where: Word = ""
    """The endpoint: `dns`, `http`, `https`, `https 192.0.2.1`."""


# ---------------------------------------------------------------- what the original has


class Request(_Part, frozen=True, kw_only=True):
    headers: dict[Word, HeaderText]
    request_time: Word
    request_url: Text


class Response(_Part, frozen=True, kw_only=True):
    status_code: Annotated[int, Meta(ge=0, le=999)]
    url: Text
    headers: Annotated[dict[Word, HeaderText], Meta(max_length=200)]
    html_size: Count
    """Bytes of the body as decoded, up to the cap."""
    html_hash: Word
    """SHA-256 of that body, in hexadecimal."""


class CertData(_Part, frozen=True, kw_only=True):
    """The site's own certificate, in the original's names."""

    cert_matches_hostname: bool | None
    status_code: Number
    """0 valid; else the first reason's place in `STATUS_CODES`, so that each cause has its number."""
    status_message: Text
    not_valid_before: Word | None = None
    not_valid_after: Word | None = None
    signature_hash_algorithm: Word | None = None
    serial_number: Word | None = None
    """Hexadecimal."""
    issuer: Annotated[dict[Word, Text], Meta(max_length=40)] = {}
    """`commonName`, `organizationName`, `countryName` and so on."""
    subject: Annotated[dict[Word, Text], Meta(max_length=40)] = {}


STATUS_CODES = {
    "valid": 0,
    "name_mismatch": 1,
    "expired": 2,
    "not_yet_valid": 3,
    "self_signed": 4,
    "untrusted_root": 5,
    "incomplete_chain": 6,
    "weak_key": 7,
    "weak_signature": 8,
    "revoked": 9,
    "invalid_chain": 10,
    "unsupported_key": 11,
    "not_tested": 99,
}
"""`certData.statusCode` a reason.  The original folded three causes into -1."""


class TlsServerInfo(_Part, frozen=True, kw_only=True):
    highest_tls_version_supported: Word | None = field(name="highestTLSVersionSupported", default=None)
    tls_cipher_supported: Word | None = field(name="TLSCipherSupported", default=None)
    hostname: Word | None = None
    tls_server_name_indication: Word | None = field(name="TLSServerNameIndication", default=None)


class Shodan(_Part, frozen=True, kw_only=True):
    """What Shodan knows of the address; `status` says why there is nothing."""

    status: Literal["found", "unknown_address", "pending", "failed", "off"]
    ip_str: Word | None = None
    asn: Word | None = None
    asn_country_code: Word | None = None
    isp: Text | None = None
    org: Text | None = None
    os: Word | None = None
    ports: Annotated[list[int], Meta(max_length=2_000)] = []
    hostnames: Annotated[list[Word], Meta(max_length=200)] = []
    vulns: Annotated[list[Word], Meta(max_length=1_000)] = []
    last_update: Word | None = None
    looked_up: Word | None = None
    reason: Text | None = None


# ---------------------------------------------------------------- ours


class Dns(_Part, frozen=True, kw_only=True):
    addresses: Annotated[list[Word], Meta(max_length=64)] = []
    """IPv4 and IPv6, in the order in which they are tried."""
    cnames: Annotated[list[Word], Meta(max_length=32)] = []
    ipv4: Answer = "unknown"
    ipv6: Answer = "unknown"


class Hop(_Part, frozen=True, kw_only=True):
    """One answer on a chain of redirects."""

    url: Text
    status_code: Number | None = None
    location: Text | None = None
    kind: RedirectType = "None"
    """How this hop sends the visitor on."""


class Suite(_Part, frozen=True, kw_only=True):
    """One cipher suite as accepted for one version."""

    name: Word
    """IANA's name."""
    openssl_name: Word | None = None
    code: Annotated[int, Meta(ge=0, le=0xFFFFFF)]
    key_exchange: Word | None = None
    """The group or the size that the server used: `x25519`, `secp256r1`, `DH 2048`, `RSA`."""


class VersionReport(_Part, frozen=True, kw_only=True):
    version: VersionName
    supported: Answer
    suites: Annotated[list[Suite], Meta(max_length=400)] = []
    """In the server's order where it has one, else in the order of our questions."""
    server_preference: Answer = "unknown"
    """Whether the server's own order decides."""
    failure: Failure | None = None
    """Why the version, or part of its suites, could not be tested."""


class TlsReport(_Part, frozen=True, kw_only=True):
    address: Word
    port: Annotated[int, Meta(ge=1, le=65_535)]
    versions: Annotated[list[VersionReport], Meta(max_length=8)] = []
    groups: Annotated[list[Word], Meta(max_length=64)] = []
    """Key-exchange groups that the server accepts, IANA names."""
    groups_tested: bool = False
    alpn: Annotated[list[Word], Meta(max_length=16)] = []
    extended_master_secret: Answer = "unknown"  # noqa: S105 - the name of a TLS extension
    encrypt_then_mac: Answer = "unknown"
    session_tickets: Answer = "unknown"
    secure_renegotiation: Answer = "unknown"
    ocsp_stapled: Answer = "unknown"
    client_certificate: Literal["none", "requested", "required", "unknown"] = "unknown"
    compression: Answer = "unknown"
    fallback_scsv: Answer = "unknown"
    sni: Literal["needed", "not_needed", "ignored", "unknown"] = "unknown"
    rate_limited: bool = False
    """The server slowed us down; what is `unknown` may be for that reason."""
    complete: bool = True
    """False where some question stayed unanswered."""
    profile: MozillaProfile = "none"
    profile_reasons: Annotated[list[Text], Meta(max_length=100)] = []
    """What keeps the site from the next better Mozilla profile."""


class CertificateSummary(_Part, frozen=True, kw_only=True):
    """One certificate as sent."""

    subject: Text
    issuer: Text
    serial_number: Word
    not_before: Word
    not_after: Word
    key_type: Word
    """`RSA`, `ECDSA`, `Ed25519`, `Ed448`, `DSA`."""
    key_bits: Count
    key_curve: Word | None = None
    """`prime256v1`, `secp384r1` and so on; `None` where the key is not on a named curve."""
    signature_algorithm: Word
    """OpenSSL's name: `sha256WithRSAEncryption`, `ecdsa-with-SHA256`; a dotted number where unknown."""
    fingerprint_sha256: Word


class CertificateReport(_Part, frozen=True, kw_only=True):
    names: Annotated[list[Word], Meta(max_length=500)] = []
    """Subject alternative names of the site's certificate."""
    chain: Annotated[list[CertificateSummary], Meta(max_length=20)] = []
    """As sent, the site's own first."""
    valid: bool
    """Whether a browser would accept it for this name today."""
    reasons: Annotated[list[Failure], Meta(max_length=32)] = []
    warnings: Annotated[list[Text], Meta(max_length=32)] = []
    """Not fatal: root sent, wrong order, long life, few days left."""
    days_left: Number | None = None
    trust_anchor: Text | None = None
    repaired_by_aia: bool = False
    """The chain was incomplete and could be completed from the authority's own address."""
    must_staple: bool = False
    scts: Count = 0
    """Signed certificate timestamps, embedded and stapled."""
    ocsp_staple: Literal["good", "revoked", "unknown_status", "expired", "invalid", "none", "unknown"] = (
        "unknown"
    )
    crl: Literal["good", "revoked", "no_crl", "unavailable", "invalid", "not_tested"] = "not_tested"


class HeaderJudgement(_Part, frozen=True, kw_only=True):
    """One header, or one cookie, and what to think of it."""

    header: Word
    verdict: Literal["good", "weak", "bad", "missing", "info"]
    reason: Text
    value: HeaderText | None = None


class ScoredTest(_Part, frozen=True, kw_only=True):
    """One of MDN HTTP Observatory's ten tests."""

    name: Word
    result: Word
    passed: bool | None
    score_modifier: Number


class HeaderReport(_Part, frozen=True, kw_only=True):
    judgements: Annotated[list[HeaderJudgement], Meta(max_length=200)] = []
    score: Number | None = None
    """Equal to MDN HTTP Observatory's; `None` where there was no page to judge."""
    grade: Word | None = None
    tests: Annotated[list[ScoredTest], Meta(max_length=20)] = []


class Bod1801(_Part, frozen=True, kw_only=True, rename=None):
    """The columns of pshtt, which CISA's directive 18-01 made the field's names."""

    live: bool = field(name="Live")
    redirect: bool = field(name="Redirect")
    redirect_to: Text | None = field(name="Redirect To", default=None)
    valid_https: bool = field(name="Valid HTTPS")
    defaults_to_https: bool = field(name="Defaults to HTTPS")
    downgrades_https: bool = field(name="Downgrades HTTPS")
    strictly_forces_https: bool = field(name="Strictly Forces HTTPS")
    hsts: bool = field(name="HSTS")
    hsts_header: HeaderText | None = field(name="HSTS Header", default=None)
    hsts_max_age: int | None = field(name="HSTS Max Age", default=None)
    hsts_entire_domain: bool = field(name="HSTS Entire Domain")
    hsts_preload_ready: bool = field(name="HSTS Preload Ready")
    domain_supports_https: bool = field(name="Domain Supports HTTPS")
    domain_enforces_https: bool = field(name="Domain Enforces HTTPS")
    domain_uses_strong_hsts: bool = field(name="Domain Uses Strong HSTS")


class SiteRecord(_Part, frozen=True, kw_only=True):
    """One site at one date."""

    fqdn: Word = field(name="FQDN")
    hostname: Word
    """What stands before the domain: `www`; empty for the domain itself."""
    domain: Word
    """The registrable domain by the public suffix list."""
    ip: Word | None
    """The address that was audited."""
    scan_date: Word
    """When the run started, UTC with a Z: one date for all sites of a run."""
    tls_redirect: bool = field(name="TLSRedirect")
    tls_site_exist: bool = field(name="TLSSiteExist")
    redirect_type: RedirectType
    site_title: Text | None = None
    form_fields: Count = 0
    links: Annotated[list[Text], Meta(max_length=50)] = []
    http_request: Request | None = None
    https_request: Request | None = None
    http_response: Response | None = None
    https_response: Response | None = None
    cert_data: CertData | None = None
    tls_server_info: TlsServerInfo | None = field(name="TLSServerInfo", default=None)
    shodan: Shodan | None = None

    audited_at: Word
    duration_ms: Milliseconds
    connections: Count = 0
    failure_class: Word | None = None
    """The failure that says most about the site, or `None` for a site without one."""
    failures: Annotated[list[Failure], Meta(max_length=64)] = []
    dns: Dns | None = None
    http_chain: Annotated[list[Hop], Meta(max_length=32)] = []
    https_chain: Annotated[list[Hop], Meta(max_length=32)] = []
    tls: TlsReport | None = None
    certificate: CertificateReport | None = None
    headers: HeaderReport | None = None
    bod1801: Bod1801 | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SiteRecord)


def to_json(record: SiteRecord) -> bytes:
    """One line of JSON, UTF-8, without a newline."""
    return _encoder.encode(record)


def from_json(line: bytes | str) -> SiteRecord:
    """Raises msgspec.ValidationError or msgspec.DecodeError for anything but a record."""
    return _decoder.decode(line)
