"""The exit codes of `glovebox`; docs/cli.md tells users what they mean."""

from __future__ import annotations

OK = 0
"""Done as asked: each host has a record. What is wrong with a site is a result, not a failure."""
FAILED = 1
"""Something of ours or of a service that we need failed; records with `internal_error` count."""
BAD_INPUT = 2
"""What was given cannot be used; argparse says 2 as well."""
REFUSED = 3
"""A rule, or what is on record, stands against it; nothing was changed."""
INCOMPLETE = 4
"""A scan that was waited for ended otherwise than completed, or did not end in time."""
INTERRUPTED = 130
"""Ctrl-C (128 + SIGINT), or the reader of the output went away; what was done is kept."""
