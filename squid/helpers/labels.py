"""Which service a host of AWS belongs to, by its name."""

from __future__ import annotations

import re

AWS_SUFFIX = ".amazonaws.com"
"""The standard partition; every name on the allow-lists ends so."""
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")


def service_label(host: str) -> str:
    """What stands before region and suffix: `ec2`, `api.ecr`, `bucket.s3`; empty where `host` is not AWS's.

    The names of FIPS and dual-stack endpoints give the label of the plain one.
    """
    stem = host.removesuffix(AWS_SUFFIX)
    if stem == host:
        return ""
    before, _, last = stem.rpartition(".")
    if _REGION.fullmatch(last):
        stem = before
    return stem.removesuffix(".dualstack").removesuffix("-fips")
