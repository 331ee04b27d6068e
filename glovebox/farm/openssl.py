"""OpenSSL server contexts as the fleet's hosts need them, and a configuration that is the fleet's own.

The machine's policy (`openssl.cnf`, crypto-policies) may forbid old versions or choose other
groups, so the fleet's process runs under `CONFIGURATION`, named by `OPENSSL_CONF`.
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dh

from glovebox.farm.authority import Authority, Issued, pem_of
from glovebox.farm.model import Tls

CONFIGURATION: Final = """\
openssl_conf = fleet
[fleet]
ssl_conf = modules
[modules]
system_default = servers
[servers]
MinProtocol = TLSv1
CipherString = DEFAULT:@SECLEVEL=0
Groups = X25519:P-256:P-384
"""

_VERSIONS: Final = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_VERIFY: Final = {
    "none": ssl.CERT_NONE,
    "requested": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


def server_context(tls: Tls, issued: Issued, host: str, folder: Path, clients: Authority) -> ssl.SSLContext:
    """What `host` serves with.  `folder` takes the key file, `clients` signs client certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():  # old versions are the point, so their deprecation is no news
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[tls.versions[0]]
        context.maximum_version = _VERSIONS[tls.versions[1]]
    context.set_ciphers(f"{tls.ciphers}:@SECLEVEL=0")
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(issued.write(folder / f"{host}.pem"))
    if not tls.server_order:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if tls.group:
        context.set_ecdh_curve(tls.group)
    if tls.dh_prime:
        context.load_dh_params(str(_dh_file(folder / f"{host}.dh", tls.dh_prime)))
    context.verify_mode = _VERIFY[tls.client_certificate]
    if context.verify_mode is not ssl.CERT_NONE:
        context.load_verify_locations(cadata=pem_of([clients.root]).decode())
    if tls.needs_name:
        context.sni_callback = _only(host)
    return context


def _only(host: str) -> Callable[[ssl.SSLObject, str, ssl.SSLContext], int | None]:
    """Refuses any other name, or none, with the alert that RFC 6066, section 3 has for it."""

    def check(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> int | None:
        return None if name == host else int(ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)

    return check


def _dh_file(path: Path, prime: int) -> Path:
    parameters = dh.DHParameterNumbers(prime, 2).parameters()
    path.write_bytes(
        parameters.parameter_bytes(serialization.Encoding.PEM, serialization.ParameterFormat.PKCS3)
    )
    return path
