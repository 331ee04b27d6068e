"""Running the attempts inside the box, one after the other (standard library only).

`step` does one attempt a line of its input and answers with a line, so that whoever judges knows which
attempt was under way when something was seen.  `all_to` is for a task in AWS, where nobody can ask: it
writes each attempt with its times, by which flow logs, query logs and the egress ledger are read later.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path

from glovebox.drill import attempts
from glovebox.drill.brief import Brief
from glovebox.drill.scanner import ATTEMPTS, CONTROLS, CannotTryError, Listed, Scanner

__all__ = ["ATTEMPTS", "CATALOGUE", "CONTROLS", "IN_AWS", "all_to", "new_marker", "step"]

CATALOGUE = attempts
"""Importing it is what fills the lists; whoever judges imports them from here."""
IN_AWS = (*CONTROLS, *(listed for listed in ATTEMPTS if not listed.lab_only))
"""What a task in AWS tries, in this order."""
REPORT, EXIT = "report.jsonl", "exit.json"
MAX_SOCKETS = 32
"""An attempt opens a handful."""
_MAX_SAID = 500
"""Characters of what an attempt was told: a word for the curious, not evidence."""


def step(brief: Brief) -> int:
    """Serve orders until the input ends: `attempt|control <number> <marker>` a line.

    Each is answered by a line with `{"said"}` or `{"cannot"}`.
    """
    for order in sys.stdin:
        kind, number, marker = order.split()
        listed = (CONTROLS if kind == "control" else ATTEMPTS)[int(number)]
        print(json.dumps(_try(listed, Scanner(brief, marker))), flush=True)
    return 0


def all_to(brief: Brief, folder: Path) -> int:
    """Run the controls, then every attempt that says something in AWS; one JSON object each."""
    with (folder / REPORT).open("w", encoding="utf-8") as report:
        for listed in IN_AWS:
            scanner, started = Scanner(brief, new_marker()), time.time()
            outcome = _try(listed, scanner)
            row = {
                "line": listed.line,
                "name": listed.name,
                "marker": scanner.marker,
                "started": started,
                "ended": time.time(),
                "sockets": scanner.sockets[:MAX_SOCKETS],
                **outcome,
            }
            report.write(f"{json.dumps(row)}\n")
    (folder / EXIT).write_text(json.dumps({"exit": 0}), encoding="utf-8")
    return 0


def new_marker() -> str:
    """What one attempt tries to get out: a DNS label that nothing else holds."""
    return f"gbx{secrets.token_hex(6)}"


def _try(listed: Listed, scanner: Scanner) -> dict[str, str]:
    try:
        return {"said": listed.run(scanner)[:_MAX_SAID]}
    except CannotTryError as error:
        return {"cannot": str(error)}
    except (OSError, ValueError) as error:  # Refused, reset, timed out, or an answer that is none.
        return {"said": f"{type(error).__name__}: {error}"[:_MAX_SAID]}
