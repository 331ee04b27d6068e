"""The drill in the lab: the hostile process in its box, attempt by attempt, with the journals beside it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from glovebox.closure import closure, stage
from glovebox.drill.brief import Brief
from glovebox.drill.judge import NotTried, Permitted, Sightings, Verdict, sort_out
from glovebox.drill.run import ATTEMPTS, CONTROLS, new_marker
from glovebox.drill.tickets import ATTACKER_KEY, SCANNED_KEY
from glovebox.errors import UpstreamError
from glovebox.lab import gateway
from glovebox.lab import plan as places
from glovebox.lab.lab import CHECKOUT, Lab
from glovebox.lab.sandbox import sandboxed

PATIENCE = 0.25
"""Seconds for an answer: links inside one kernel answer within a millisecond."""
TRACE_SECONDS = 1.0
"""How long a trace may take to be written."""
REFUSAL_SECONDS = 0.2
"""How long to wait for a better trace than that the gateway knows of the connection."""
STRAGGLER_SECONDS = 0.2
"""After the last attempt: what arrives later still counts."""
_SETTLE = 0.01
_FOLDER = "/run/lab/drill"
_CLIENT_POINTERS = ("10.in-addr.arpa",)
"""Squid asks for the names of its clients' addresses; those of the VPC are AWS's to answer."""


class Drill:
    """One run of all attempts in a lab that is up."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._permitted = permitted(lab.plan)
        self.not_tried: list[NotTried] = []

    def run(self) -> Iterator[Verdict]:
        """Verdicts as they are reached.

        Raises UpstreamError where what must work does not: then nothing is proven by what fails.
        """
        with self._hostile() as process:
            for number, listed in enumerate(CONTROLS):
                self._check_control(process, number, listed.name)
            time.sleep(STRAGGLER_SECONDS)
            list(self._lab.news())
            last: tuple[int, str, Sightings] | None = None
            for number, listed in enumerate(ATTEMPTS):
                marker = new_marker()
                answer = self._order(process, f"attempt {number} {marker}")
                if "cannot" in answer:
                    self.not_tried.append(NotTried(listed.line, listed.name, answer["cannot"]))
                    continue
                if last is not None:
                    yield last[2].verdict(last[0], last[1])
                last = (listed.line, listed.name, self._watch(marker))
            time.sleep(STRAGGLER_SECONDS)
            if last is not None:
                sort_out(self._lab.news(), "gbx", self._permitted, last[2])
                yield last[2].verdict(last[0], last[1])

    def _watch(self, marker: str) -> Sightings:
        """What the journals hold of the attempt that has just ended."""
        seen = Sightings()
        began = time.monotonic()
        while True:
            time.sleep(_SETTLE)
            sort_out(self._lab.news(), marker, self._permitted, seen)
            waited = time.monotonic() - began
            enough = seen.mentions and waited > REFUSAL_SECONDS
            if seen.traces or seen.leaks or enough or waited > TRACE_SECONDS:
                return seen

    def _check_control(self, process: subprocess.Popen[bytes], number: int, name: str) -> None:
        answer = self._order(process, f"control {number} {new_marker()}")
        deadline = time.monotonic() + TRACE_SECONDS
        while time.monotonic() < deadline:
            time.sleep(_SETTLE)
            if any(
                journal == "origin" and event.get("event") == "request" for journal, event in self._lab.news()
            ):
                return
        raise UpstreamError(
            f"What a scanner may do does not work: {name} ({answer}).",
            fix="Repair the gateway first; see the journals of the lab with --keep.",
        )

    def _order(self, process: subprocess.Popen[bytes], order: str) -> dict[str, str]:
        if process.stdin is None or process.stdout is None:
            raise UpstreamError("The hostile process cannot be spoken to.")
        process.stdin.write(order.encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            log = (self._lab.folder / "hostile.log").read_text(errors="replace")
            raise UpstreamError(f"The hostile process ended at {order!r}: {log[-1000:]}")
        answer: dict[str, str] = json.loads(line)
        return answer

    @contextmanager
    def _hostile(self) -> Iterator[subprocess.Popen[bytes]]:
        lab = self._lab
        folder = lab.namespaces.run_folder / "lab" / "drill"
        folder.mkdir(mode=0o755)
        stage(CHECKOUT, closure(CHECKOUT, "containers/drill"), folder)
        request = {"brief": asdict(brief(lab))}
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        command = [lab.python, "-m", "containers.drill", "--step", _FOLDER]
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": _FOLDER, "PYTHONDONTWRITEBYTECODE": "1"}
        with (lab.folder / "hostile.log").open("wb") as log:
            process = lab.namespaces.start(
                places.SCANNER,
                ["env", "-C", "/", *sandboxed(command)],
                environment=environment, orders=subprocess.PIPE, output=subprocess.PIPE, errors=log,
            )  # fmt: skip
            try:
                yield process
            finally:
                process.kill()
                process.wait()


def brief(lab: Lab) -> Brief:
    """What the scanner is told of this lab."""
    machines, tickets = lab.plan.machines, lab.tickets
    resolvers = machines[places.RESOLVER].addresses
    return Brief(
        gateway=machines[places.GATEWAY].address,
        aws_port=gateway.PORTS[0],
        site_port=gateway.PORTS[1],
        ticket=tickets.aws_api,
        site_ticket=tickets.site,
        bad_tickets=tickets.bad,
        region=gateway.REGION,
        bucket=gateway.BUCKET,
        foreign_bucket="attacker-bucket",
        key=SCANNED_KEY,
        own_key=ATTACKER_KEY,
        site=gateway.SITE,
        origin=places.ORIGIN_ADDRESS,
        evil=places.EVIL_ADDRESS,
        evil_ipv6=places.EVIL_IPV6,
        public_resolver=places.PUBLIC_RESOLVER,
        resolvers=resolvers,
        metadata=places.METADATA_ADDRESSES,
        neighbour=machines[places.NEIGHBOUR].address,
        bystander=machines[places.BYSTANDER].address,
        endpoint=machines[places.ENDPOINT].address,
        patience=PATIENCE,
    )


def permitted(plan: places.Plan) -> Permitted:
    """The perimeter's promise in one place, written down apart from any rule that shall keep it."""
    machines = plan.machines
    scanner, egress = machines[places.SCANNER].address, machines[places.GATEWAY].address
    flows: set[tuple[str, str, str, int | None]] = {(egress, places.ORIGIN_ADDRESS, "tcp", 443)}
    flows |= {(scanner, egress, "tcp", port) for port in gateway.PORTS}
    flows |= {(scanner, machines[name].address, "tcp", 443) for name in (places.ENDPOINT, places.S3)}
    for resolver in machines[places.RESOLVER].addresses:
        flows |= {(host, resolver, kind, 53) for host in (scanner, egress) for kind in ("udp", "tcp")}
    return Permitted(
        hostile={scanner, places.SCANNER_IPV6, egress},
        flows=flows,
        key=SCANNED_KEY.id,
        name_suffixes=(".amazonaws.com", *_CLIENT_POINTERS),
    )
