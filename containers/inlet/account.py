"""An account's scan: claims its credentials once, and lays them down as its scanner's SDK reads them."""

from __future__ import annotations

import resource
import shlex
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from containers.inlet.bucket import Bucket
from glovebox.envelopes.credentials import Credentials, decode
from glovebox.envelopes.sealing import MAX_ENVELOPE_BYTES, KeyPair
from glovebox.errors import ConfigurationError, RefusedError
from glovebox.scans.accounts import CLAIM_TYPE, AccountScanRequest, AccountTarget

ENVELOPE_SECONDS = 180.0
"""`redeem` answers within seconds; where AWS throttles it, within two minutes.  Then the attempt is lost."""
ENVELOPE_WAITS = (0.5, 0.5, 1.0, 1.0, *[2.0] * 90)
CREDENTIALS_FILE, CONFIG_FILE = "credentials", "config"
ENVIRONMENT_FILE, AUTHORITIES_FILE = "environment", "authorities.pem"


def claimed(bucket: Bucket, request: AccountScanRequest, claim_url: str, envelope_url: str) -> Credentials:
    """The credentials that `redeem` sealed to a key which is in this process's memory alone, and only now.

    Raises UpstreamError where no envelope comes in time, EnvelopeError for one that is not for us.
    """
    # A core file would hold the key.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pair = KeyPair()
    bucket.put_once(claim_url, pair.public.claim(), {"Content-Type": CLAIM_TYPE}, what="claim")
    envelope = bucket.get(
        envelope_url,
        what="envelope",
        most=MAX_ENVELOPE_BYTES,
        waits=ENVELOPE_WAITS,
        seconds=ENVELOPE_SECONDS,
    )
    message = pair.open(envelope, scan_id=request.scan_id, attempt=request.attempt)
    return decode(message, scan_id=request.scan_id, account=request.target.account)


def lay_down(credentials: Credentials, request: AccountScanRequest, folder: Path) -> None:
    """Write the scanner's files, readable and not writable.

    Raises RefusedError for authorities that are none, ConfigurationError where a file cannot be written.
    """
    files = {
        AUTHORITIES_FILE: _authorities(request.authorities),
        CREDENTIALS_FILE: _credentials(credentials),
        CONFIG_FILE: _config(credentials),
        ENVIRONMENT_FILE: _environment(credentials, request.target, folder),
    }
    for name, text in files.items():
        write_new(folder / name, text.encode())


def write_new(path: Path, body: bytes) -> None:
    """Raises ConfigurationError where something is there already: only this task writes here, and once."""
    try:
        with path.open("xb") as file:
            file.write(body)
        path.chmod(0o444)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}).") from error


def _authorities(pem: str) -> str:
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise RefusedError("The request's authorities are no certificates.") from error
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in found)


def _credentials(credentials: Credentials) -> str:
    return (
        "[default]\n"
        f"aws_access_key_id = {credentials.access_key_id}\n"
        f"aws_secret_access_key = {credentials.secret_access_key}\n"
        f"aws_session_token = {credentials.session_token}\n"
    )


def _config(credentials: Credentials) -> str:
    # The gateway lists the hosts of services in regions: it knows none that a bucket's name, an account's
    # number or the old global endpoints make.
    return (
        "[default]\n"
        f"region = {credentials.regions[0]}\n"
        "sts_regional_endpoints = regional\n"
        "account_id_endpoint_mode = disabled\n"
        "s3 =\n"
        "  addressing_style = path\n"
        "  us_east_1_regional_endpoint = regional\n"
    )


def _environment(credentials: Credentials, target: AccountTarget, folder: Path) -> str:
    """For the scanner's shell to source."""
    authorities = str(folder / AUTHORITIES_FILE)
    gateway = credentials.gateway
    values = {
        **(credentials.ticket.environment(gateway) if gateway else {}),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / CREDENTIALS_FILE),
        "AWS_CONFIG_FILE": str(folder / CONFIG_FILE),
        "AWS_REGION": credentials.regions[0],
        "AWS_DEFAULT_REGION": credentials.regions[0],
        # There is no role to be found there, and asking would only cost time.
        "AWS_EC2_METADATA_DISABLED": "true",
        # botocore and the CLI; requests; OpenSSL and Go; curl; Node.
        "AWS_CA_BUNDLE": authorities,
        "REQUESTS_CA_BUNDLE": authorities,
        "SSL_CERT_FILE": authorities,
        "CURL_CA_BUNDLE": authorities,
        "NODE_EXTRA_CA_CERTS": authorities,
        "GLOVEBOX_ACCOUNT": credentials.account,
        "GLOVEBOX_REGIONS": " ".join(credentials.regions),
        "GLOVEBOX_SERVICES": " ".join(target.services),
        "GLOVEBOX_WITHOUT": " ".join(target.without),
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
