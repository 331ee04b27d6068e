"""The hostile scanner: tries to get out of the box that it runs in.

    python -m containers.drill            all attempts, to /glovebox/out/report.jsonl
    python -m containers.drill --step     one attempt a line of its input, for the lab

What it knows stands in /glovebox/in/request.json.  Standard library only: what it can do, any code can.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from glovebox.drill.brief import Brief
from glovebox.drill.run import all_to, step
from glovebox.scans.airlock import REQUEST_FILE, in_folder, out_folder

LIMIT_SECONDS = 1_200
"""Ten times what all attempts need; nobody else ends this task."""

if __name__ == "__main__":
    stepwise = sys.argv[1:2] == ["--step"]
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else in_folder()
    brief = Brief.of(json.loads((folder / REQUEST_FILE).read_text("utf-8"))["brief"])
    if stepwise:
        sys.exit(step(brief))
    signal.alarm(LIMIT_SECONDS)
    sys.exit(all_to(brief, out_folder()))
