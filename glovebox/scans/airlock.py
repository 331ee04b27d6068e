"""What the containers of one task share: two folders, a proxyless session, and no way to more rights."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

REQUEST_FILE = "request.json"
_PR_SET_NO_NEW_PRIVS = 38
"""linux/prctl.h"""


def in_folder() -> Path:
    """What the inlet writes and the scanner reads."""
    return Path(os.environ.get("GLOVEBOX_IN", "/glovebox/in"))


def out_folder() -> Path:
    """What the scanner writes and the outlet reads."""
    return Path(os.environ.get("GLOVEBOX_OUT", "/glovebox/out"))


def authorities() -> str | bool:
    """For requests' `verify`: the file that the platform names, else requests' own roots."""
    return os.environ.get("SSL_CERT_FILE") or True


def no_new_privileges() -> None:
    """Nothing that this process starts gains rights by set-uid bits or file capabilities.

    Fargate cannot set this for us (it takes no `dockerSecurityOptions`), so each entry point does it
    first of all.  Raises OSError where Linux refuses.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
