"""What the drill says nothing about yet, line by line, and why: silence must not read as "blocked"."""

from __future__ import annotations

from glovebox.drill.judge import NotTried

_SILENT = "S3 logs for nobody what an endpoint refused; tests/policies proves the policies for all requests"
_UNCLAIMED = (
    "a drill is no scan, so nothing is brokered for it; tests/e2e/test_thefts.py tries it on the local cloud"
)
NOT_TRIED = (
    NotTried(8, "endpoint policies", "the lab's endpoints judge no policies; tests/policies proves them"),
    NotTried(
        11, "the environment of neighbours", "a refused read of /proc leaves no trace; tests/perimeter has it"
    ),
    NotTried(
        12,
        "the brokered credentials from outside of the box",
        "only IAM knows where a call came from; tests/policies proves the role's boundary for all requests",
    ),
    NotTried(
        13,
        "the brokered credentials in a posted form of EC2, IAM and others, which the gateway does not read",
        "the session policy refuses what writes; tests/policies proves it for every action that AWS has",
    ),
    NotTried(14, "uploads past the gateway, at S3's endpoint", _SILENT),
    NotTried(14, "uploads with a scan's own form: other key, size, type, a second time, late", _UNCLAIMED),
    NotTried(15, "reading and listing past the gateway, at S3's endpoint", _SILENT),
    NotTried(16, "another scan's envelope with its real address, a second claim", _UNCLAIMED),
    NotTried(
        21, "secrets on standard output", "a task definition without a log; tests/infrastructure asserts it"
    ),
    NotTried(
        24,
        "snapshots with links, devices and paths that climb",
        "snapshots of repositories are not built yet",
    ),
)
