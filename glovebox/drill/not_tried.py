"""What the drill says nothing about yet, line by line, and why: silence must not read as "blocked"."""

from __future__ import annotations

from glovebox.drill.judge import NotTried

_BROKER = "the broker that mints credentials and envelopes is not built yet"
NOT_TRIED = (
    NotTried(8, "endpoint policies", "the lab's endpoints judge no policies; tests/policies proves them"),
    NotTried(
        11, "the environment of neighbours", "a refused read of /proc leaves no trace; tests/perimeter has it"
    ),
    NotTried(12, "the brokered credentials used elsewhere", _BROKER),
    NotTried(
        13, "the brokered credentials used for code, logs, images, secrets, writes, onward roles", _BROKER
    ),
    NotTried(
        14, "uploads under another key, size, type or time", "needs the storage: tests/e2e tries them there"
    ),
    NotTried(
        15,
        "reading other results and snapshots, listing",
        "scanners hold no AWS role; tests/policies proves it",
    ),
    NotTried(16, "another scan's envelope, a second claim", _BROKER),
    NotTried(
        21, "secrets on standard output", "a task definition without a log; tests/infrastructure asserts it"
    ),
    NotTried(
        24,
        "snapshots with links, devices and paths that climb",
        "snapshots of repositories are not built yet",
    ),
)
