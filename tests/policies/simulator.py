"""An evaluator of IAM's rules, as a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def verdicts_on(simulations: Sequence[dict[str, Any]]) -> list[str]:
    """`Allowed`, `ImplicitlyDenied` or `ExplicitlyDenied` for each, all in one run of Node."""
    if not (ROOT / "node_modules" / "@cloud-copilot").is_dir():
        subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=ROOT, check=True, timeout=300)
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("evaluate.mjs"))],
        input=json.dumps(list(simulations)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found
