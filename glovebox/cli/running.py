"""What `glovebox up` shows of its runs: how far they are, and what came out."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from glovebox.cli.output import line

if TYPE_CHECKING:
    from rich.console import Console

    from glovebox.local.cloud import LocalCloud
    from glovebox.local.progress import View
    from glovebox.scans.state import Scan

SHOWN_COUNTS = 6
SHOWN_PROBLEMS = 3


def followed(console: Console, cloud: LocalCloud, *run_ids: str) -> list[View]:
    """Show the runs until all are over."""
    from rich.live import Live
    from rich.text import Text

    from glovebox.local.progress import follow, look

    views = {run_id: look(cloud, run_id) for run_id in run_ids}
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        for run_id in run_ids:
            for view in follow(cloud, run_id):
                views = {other: look(cloud, other) for other in run_ids} | {run_id: view}
                live.update(Text("\n".join(map(_state, views.values()))))
    return list(views.values())


def _state(view: View) -> str:
    scans = ", ".join(f"{count} {state}" for state, count in sorted(view.states.items()))
    counts = ", ".join(f"{name} {count}" for name, count in view.counts.most_common(SHOWN_COUNTS))
    problems = "".join(f"\n  {problem}" for problem in view.problems[-SHOWN_PROBLEMS:])
    run = view.run
    if run.kind == "account":
        about = f"accounts {run.accounts} | findings: {counts or '–'}"
    elif run.kind == "repository":
        about = f"repositories {run.repositories} | findings: {counts or '–'}"
    else:
        about = f"records {view.written}/{run.hosts} | {counts}"
    return f"Run {run.run_id}: {run.state.value} | scans: {scans} | {about}{problems}"


def say_sites(console: Console, cloud: LocalCloud, view: View) -> bool:
    """Print what came out of the sites; whether each host has a record and the files are there."""
    from rich.table import Table

    from glovebox.local.cloud import CHECKOUT
    from glovebox.scans.model import RunState
    from glovebox.text import visible

    run = view.run
    table = Table("outcome", "sites", title=f"Run {run.run_id}: {run.state.value}")
    for name, count in sorted(run.counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(visible(name, 80), str(count))
    console.print(table)
    for note in run.rejected_lines:
        line(console, f"  line {note.line} not used: {visible(note.reason, 200)} {visible(note.text, 80)}")
    for host in run.missing:
        line(console, f"  without a record: {visible(host, 253)}")
    _say_reasons(console, view)
    paths = cloud.download_files(run, CHECKOUT / "results" / run.run_id)
    for path in paths:
        line(console, f"  {path}")
    return run.state is RunState.COMPLETED and bool(paths) and view.over


def say_accounts(console: Console, cloud: LocalCloud, view: View) -> bool:
    """Print the findings by severity and state; whether the scans are as they should be.

    The real Prowler asks for more than the emulator knows, so its scan may be partial here, and says of what.
    """
    from glovebox.local.scanner_tools import PROWLER
    from glovebox.scans.model import ScanState

    _say_findings(console, cloud, view, "aws:")
    good = {ScanState.COMPLETED} | ({ScanState.PARTIAL} if PROWLER in cloud.tools.real else set())
    return bool(view.scans) and all(scan.state in good for scan in view.scans) and view.over


def say_repositories(console: Console, cloud: LocalCloud, view: View) -> bool:
    """Print the same of repositories, and whose they are; a scan is partial where its archive is."""
    from glovebox.scans.model import ScanState

    _say_findings(console, cloud, view, "repo:")
    for repository in cloud.registry.repositories():
        owner = cloud.registry.owner_of_target(repository.target)
        line(console, f"  {repository.id}: {owner.team or 'nobody'}, because {owner.because}")
    return (
        view.over
        and bool(view.scans)
        and all(
            scan.state is ScanState.COMPLETED
            or (
                scan.state is ScanState.PARTIAL
                and scan.snapshot is not None
                and bool(scan.snapshot.gap_counts)
            )
            for scan in view.scans
        )
    )


def _say_findings(console: Console, cloud: LocalCloud, view: View, targets: str) -> None:
    """By severity and state, of the targets whose names begin so; then scan by scan."""
    from rich.table import Table

    from glovebox.findings.model import Severity, State
    from glovebox.text import visible

    run = view.run
    table = Table("severity", title=f"Run {run.run_id}: {run.state.value}")
    states = [state.value for state in State]
    for state in states:
        table.add_column(state, justify="right")
    tallies = [each.tally.states for each in cloud.findings.targets() if each.target.startswith(targets)]
    for severity in sorted(Severity, reverse=True):
        name = severity.name.lower()
        counts = (sum(tally.get(state, {}).get(name, 0) for tally in tallies) for state in states)
        table.add_row(name, *(str(count or "") for count in counts))
    console.print(table)
    for note in run.rejected_lines:
        line(console, f"  {run.kind} {visible(note.text, 300)} not scanned: {visible(note.reason, 300)}")
    for scan in view.scans:
        about = f" {scan.repository.scanner} on {scan.repository.repository}" if scan.repository else ""
        line(console, f"  {scan.scan_id}{about}: {scan.state.value} in {_seconds(scan)} s")
    _say_reasons(console, view)
    line(console, "  The findings: glovebox findings --local")


def _seconds(scan: Scan) -> str:
    """From the wish to the findings."""
    if scan.ended_at is None:
        return "?"
    begun, ended = datetime.fromisoformat(scan.attempt_since), datetime.fromisoformat(scan.ended_at)
    return f"{(ended - begun).total_seconds():.0f}"


def _say_reasons(console: Console, view: View) -> None:
    from glovebox.text import visible

    for scan in view.scans:
        if scan.reason:
            line(console, f"  {scan.scan_id}: {visible(scan.reason, 400)}")
    for problem in view.problems:
        line(console, f"  container agent: {visible(problem, 400)}")


def say_tunnels(console: Console, cloud: LocalCloud) -> None:
    """What the gateway decided, from its own ledger."""
    if cloud.perimeter is None:
        return
    tunnels = cloud.perimeter.tunnels()
    why = ", ".join(f"{reason} {count}" for reason, count in sorted(tunnels.refused.items()))
    refused = sum(tunnels.refused.values())
    line(
        console,
        f"Decisions of the gateway: {tunnels.allowed} allowed, {refused} refused"
        + (f" ({why})" if why else ""),
    )
    dropped = cloud.perimeter.dropped()
    line(console, f"Packets that the perimeter dropped: {dropped}")
    for problem in cloud.perimeter.problems:
        line(console, f"  perimeter: {problem}")
