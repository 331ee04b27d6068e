"""A configuration that the daemon has agreed to, or none: a broken one never takes a good one's place."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from glovebox.errors import ConfigurationError
from squid.hosts import hosts_of
from squid.render import render, settings_from
from squid.settings import GatewaySettings

PARSE_SECONDS = 30
"""A list of every region parses in a tenth of one."""
MAX_SHOWN = 2_000

_TROUBLE = re.compile(r"ERROR|WARNING|FATAL|aclParse|Bungled")
"""`squid -k parse` ends with 0 on unknown actions, bad expressions and missing lists, so its words count."""
_ECHO = "| Processing: "
"""The parser repeats each line that it reads."""


def prepare(settings_file: Path, configuration: Path) -> GatewaySettings:
    """Renders the settings into `configuration`, once the daemon has found nothing wrong with it.

    Raises ConfigurationError, and leaves `configuration` as it is, where anything is wrong with the settings,
    the lists or the rendered text.
    """
    settings = settings_from(settings_file)
    hosts_of(Path(settings.allow_list))
    candidate = configuration.with_suffix(".candidate")
    candidate.write_text(render(settings), encoding="utf-8")
    check(candidate)
    candidate.replace(configuration)
    return settings


def check(configuration: Path) -> None:
    """Raises ConfigurationError with the daemon's own words where it has any but an echo."""
    command = ["squid", "-k", "parse", "-f", str(configuration)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PARSE_SECONDS, check=False)
    except subprocess.TimeoutExpired as exc:
        raise ConfigurationError(f"The configuration was not read within {PARSE_SECONDS} seconds.") from exc
    said = [line for line in (done.stdout + done.stderr).splitlines() if _ECHO not in line]
    trouble = [line for line in said if _TROUBLE.search(line)]
    if done.returncode or trouble:
        words = "\n".join(trouble or said[-5:])[:MAX_SHOWN]
        raise ConfigurationError(
            f"Squid refuses the configuration (exit {done.returncode}): {words}",
            fix="Correct the settings or the files that they name.",
        )
