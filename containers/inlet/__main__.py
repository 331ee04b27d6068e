"""The inlet: fetches this task's request by its presigned URL and lays it down for the scanner.

For a scan of an account it also claims the credentials, for one of a repository it unpacks the snapshot.
Ends with 0, or with 1 and one line of JSON that says why; the task then never starts its scanner.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from containers.inlet.bucket import Bucket, opened_bucket
from glovebox import log
from glovebox.drill.request import DrillRequest
from glovebox.errors import ConfigurationError, GloveboxError, RefusedError
from glovebox.scans.accounts import CLAIM_VARIABLE, ENVELOPE_VARIABLE, AccountScanRequest
from glovebox.scans.airlock import REQUEST_FILE, in_folder, no_new_privileges
from glovebox.scans.model import MAX_REQUEST_BYTES, SiteScanRequest
from glovebox.scans.repositories import SNAPSHOT_VARIABLE, RepositoryScanRequest
from glovebox.snapshots.errors import SnapshotError

VARIABLE = "GLOVEBOX_REQUEST_URL"
Request = SiteScanRequest | AccountScanRequest | RepositoryScanRequest | DrillRequest
REQUESTS: dict[str, type[Request]] = {
    "site": SiteScanRequest,
    "account": AccountScanRequest,
    "repository": RepositoryScanRequest,
    "drill": DrillRequest,
}
"""What a scanner may be asked, by kind."""


class _Kind(Struct, frozen=True):
    kind: Literal["site", "account", "repository", "drill"] = "site"


def main() -> int:
    no_new_privileges()
    try:
        with opened_bucket() as bucket:
            _serve(bucket, in_folder())
    except GloveboxError as error:
        log.error("inlet failed", error=type(error).__name__, reason=error.reason, **_more(error))
        return 1
    return 0


def _serve(bucket: Bucket, folder: Path) -> None:
    request = _request(bucket.get(_variable(VARIABLE), what="request", most=MAX_REQUEST_BYTES))
    # Here and not above: audits of sites start a tenth of a second earlier without cryptography.
    if isinstance(request, AccountScanRequest):
        from containers.inlet import account

        claim_url, envelope_url = _variable(CLAIM_VARIABLE), _variable(ENVELOPE_VARIABLE)
        account.lay_down(account.claimed(bucket, request, claim_url, envelope_url), request, folder)
    elif isinstance(request, RepositoryScanRequest):
        from containers.inlet import repository

        repository.lay_down(bucket, _variable(SNAPSHOT_VARIABLE), request, folder)
    _lay_down(request, folder)


def _more(error: GloveboxError) -> dict[str, str]:
    """The class of what is wrong with a snapshot, and what to do about any failure that knows."""
    told = {"failureClass": error.failure_class if isinstance(error, SnapshotError) else "", "fix": error.fix}
    return {name: value for name, value in told.items() if value}


def _variable(name: str) -> str:
    url = os.environ.get(name, "")
    if not url:
        raise ConfigurationError(f"The environment variable {name} is not set.")
    return url


def _request(body: bytes) -> Request:
    try:
        return msgspec.json.decode(body, type=REQUESTS[msgspec.json.decode(body, type=_Kind).kind])
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedError(f"What was fetched is no request: {error}.") from error


def _lay_down(request: Request, folder: Path) -> None:
    """Write the request, checked and once more encoded by us, readable and not writable."""
    path = folder / REQUEST_FILE
    try:
        path.write_bytes(msgspec.json.encode(request))
        path.chmod(0o444)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}).") from error


if __name__ == "__main__":
    sys.exit(main())
