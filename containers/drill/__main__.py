"""The hostile scanner: tries to get out of the box that it runs in.

    python -m containers.drill            all attempts, to /glovebox/out/report.jsonl
    python -m containers.drill --step     one attempt a line of its input, for the lab

What it knows stands in /glovebox/in/drill.json.  Standard library only: what it can do, any code can.
"""

from __future__ import annotations

import sys
from pathlib import Path

from glovebox.drill.run import all_to, step
from glovebox.drill.scanner import Brief

IN, OUT = Path("/glovebox/in"), Path("/glovebox/out")

if __name__ == "__main__":
    stepwise = sys.argv[1:2] == ["--step"]
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else IN
    brief = Brief.read(folder / "drill.json")
    sys.exit(step(brief) if stepwise else all_to(brief, OUT))
