"""`glovebox github-app`: give `snapshot` the credentials of your GitHub App."""

from __future__ import annotations

import argparse
from pathlib import Path

from glovebox.cli import remote
from glovebox.cli.actions import Actions
from glovebox.cli.exit_codes import OK

MAX_KEY_BYTES = 64 << 10
"""An RSA key of 16,384 bits is 12 KB of PEM."""
MIN_KEY_BITS = 2_048
"""GitHub's own have as many; RFC 7518 (3.3) asks for no less under RS256."""


def add_parser(subparsers: Actions[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser(
        "github-app",
        help="give Glovebox the credentials of your GitHub App",
        description="Give Glovebox the credentials of your GitHub App, through which it reads repositories.",
    )
    parser.add_argument("--id", metavar="ID", required=True, type=_app_id, help="the App's id, a number")
    parser.add_argument(
        "--key", metavar="PEM", required=True, type=Path, help="the App's private key, as GitHub gave it"
    )
    remote.add_connection_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Nothing of the key is printed, also where it is none."""
    from glovebox.cli.output import say
    from glovebox.services.github_app import put_app

    key = _private_key(args.key)
    put_app(remote.connect(args).github_app, args.id, key)
    say(f"The App {args.id} is stored. Delete {args.key}: GitHub makes another key whenever one is needed. "
        "Then: glovebox targets sync")  # fmt: skip
    return OK


def _private_key(path: Path) -> str:
    """The file's text.  Raises InputError for anything but an RSA private key without a password."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from glovebox.errors import InputError

    try:
        with path.open("rb") as file:
            content = file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"The key cannot be read: {error.strerror}.", fix="Give the file that GitHub made."
        ) from error
    try:
        key = load_pem_private_key(content[:MAX_KEY_BYTES], password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without the cause: some of its texts quote what they read.
        raise InputError(
            "The file is no PEM of a private key without a password.", fix="Give the file that GitHub made."
        ) from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < MIN_KEY_BITS:
        raise InputError(
            f"The file has no RSA private key of {MIN_KEY_BITS:,} bits or more.",
            fix="Make one on the App's page at GitHub, under private keys.",
        )
    return content.decode().strip() + "\n"


def _app_id(text: str) -> str:
    if not (text.isascii() and text.isdecimal()) or len(text) > 20:
        raise argparse.ArgumentTypeError("the App's id is a number, as its page at GitHub says")
    return text
