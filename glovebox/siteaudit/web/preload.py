"""Whether browsers know a name as https-only before they ever visit it.

An audit has no way to the internet but the sites on its list, so Chromium's list comes with
the package `hstspreload`, as of January 2025.  A name added since counts as absent: its score
may lack the five points of `hsts-preloaded`, and never has too many.
"""

from __future__ import annotations

import warnings

import hstspreload


def is_preloaded(host: str) -> bool:
    """Whether `host`, in A-labels, is on the list, itself or by a parent that includes subdomains."""
    with warnings.catch_warnings():
        # The package opens its data by a function that Python 3.11 and 3.12 deprecate.
        warnings.simplefilter("ignore", DeprecationWarning)
        return bool(hstspreload.in_hsts_preload(host))
