"""The whole lab: the machines, who watches them, the internet beyond, and the gateway in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from glovebox.drill.tickets import ATTACKER_KEY, SCANNED_KEY, Tickets
from glovebox.errors import UpstreamError
from glovebox.lab import gateway as real
from glovebox.lab.journal import Event, Reader
from glovebox.lab.names import firewall_file
from glovebox.lab.namespaces import START_SECONDS, Namespaces, only_child
from glovebox.lab.plan import GATEWAY, INTERNET, NAME_SERVER, PUBLIC_RESOLVER, RESOLVER, place
from glovebox.lab.probe import interpreter
from glovebox.lab.template import Network
from squid.authority import mint

CHECKOUT = Path(__file__).resolve().parents[2]
Kind = Literal["real", "unprotected", "bare"]
"""The perimeter with its gateway; the control, in which nothing is held: no rules, no DNS firewall, a gateway
that lets everything through; or the rules alone, without a gateway."""
JOURNALS = ("flows", "queries", "asked", "origin", "ledger")
"""What the router dropped and sent on, what the VPCs' resolver and the internet's name server were asked,
what servers got, and what the gateway decided."""
CODE, PACKAGES = "/run/lab/code", "/run/lab/packages"
"""The checkout and what is installed for it."""
_POLL = 0.01
_LISTENING = "00000000:0000 0A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Instead of the drill's attackers: who lives in the lab for a while."""

    identity: real.Identity
    """Whose tickets the gateway takes."""
    zone: Mapping[str, Sequence[str]]
    """The names that exist, and where they lead."""
    servers: str
    """The network of those whom the gateway may reach; its addresses are the internet's."""
    tasks_at_once: int
    """With a ticket, and as many without one."""
    upstream: bytes = b""
    """PEM: the authorities that AWS's certificates must lead to; without them nothing stands for AWS."""


class Lab:
    """A context manager; `folder` (an empty one of the caller's) gets journals and logs.

    Without a `scene` it is the drill's, with attackers on the internet.  Raises UpstreamError where a part
    does not start, with what it said.
    """

    def __init__(
        self, network: Network, folder: Path, *, kind: Kind = "real", scene: Scene | None = None
    ) -> None:
        self.plan = (
            place(
                network,
                tasks_at_once=scene.tasks_at_once,
                ticketless_at_once=scene.tasks_at_once,
                servers=scene.servers,
            )
            if scene
            else place(network)
        )
        self.folder = folder
        self.namespaces = Namespaces(self.plan)
        self.python = interpreter() or sys.executable
        self.tickets = Tickets("", "", {})
        self._scene = scene
        self._gateway: subprocess.Popen[bytes] | None = None
        self._kind = kind
        self._stack = ExitStack()
        self._readers = {name: Reader(self.journal(name)) for name in JOURNALS}

    def __enter__(self) -> Lab:
        with ExitStack() as stack:
            stack.enter_context(self.namespaces)
            self._show_code()
            if self._scene is not None:
                self._ask_the_resolver()
            self._start(stack)
            if self._kind == "unprotected":
                self.namespaces.flush()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def journal(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def news(self) -> Iterator[tuple[str, Event]]:
        """What was written since the last call: journal and event."""
        for name, reader in self._readers.items():
            for event in reader.news():
                if event.get("event") != "ready":
                    yield name, event

    def program_environment(self) -> Mapping[str, str]:
        """For programs of ours inside: our code, and the packages that are installed here."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": f"{CODE}:{PACKAGES}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def renew(self, identity: real.Identity) -> None:
        """Let the gateway read new keys and a new leaf; its tunnels stay."""
        if self._gateway is None or self._gateway.poll() is not None:
            raise UpstreamError("The lab has no gateway that could read new keys.")
        real.write_identity(self.folder / "gateway", identity)
        os.kill(only_child(self._gateway.pid), signal.SIGHUP)

    def _show_code(self) -> None:
        """Our code for users without any right: the checkout may stand in somebody's home."""
        shown = {CODE: str(CHECKOUT), PACKAGES: str(Path(msgspec.__file__).parents[1])}
        self.namespaces.script(
            "".join(f"mkdir -p {to} && mount --bind -o ro '{of}' {to}\n" for to, of in shown.items())
        )

    def _ask_the_resolver(self) -> None:
        """Let every program inside ask the scan network's resolver, as DHCP tells tasks in AWS."""
        path = self.folder / "resolv.conf"
        resolver = self.plan.network.vpcs[self.plan.scan_vpc].network_address + 2
        path.write_text(f"nameserver {resolver}\n", encoding="ascii")
        # It may be a link into /run, which is the lab's own here.
        self.namespaces.script(
            'place=$(readlink -m /etc/resolv.conf)\nmkdir -p "$(dirname "$place")"\n'
            f'[ -e "$place" ] || : >"$place"\nmount --bind -o ro \'{path}\' "$place"\n'
        )

    def _start(self, stack: ExitStack) -> None:
        state = self.folder / "gateway"
        state.mkdir()
        firewall = self.folder / "firewall.json"
        rules = "{}" if self._kind == "unprotected" else firewall_file(self.plan)
        firewall.write_text(rules, encoding="utf-8")
        resolver = self.plan.machines[RESOLVER]
        self._program(stack, None, "witness", "flows")
        name_server = [f"{NAME_SERVER},{PUBLIC_RESOLVER}"]
        if self._scene is None:
            self._start_attackers(stack, state)
        else:
            upstream = self._scene.upstream or mint(real.hosts(), datetime.now(UTC)).authority
            real.write_configuration(state, self.plan, self.python, self._scene.identity, upstream)
            zone = self.folder / "zone.json"
            zone.write_text(json.dumps(self._scene.zone), encoding="utf-8")
            name_server += ["zone", str(zone)]
        self._program(stack, INTERNET, "names", "asked", *name_server)
        self._program(
            stack, RESOLVER, "names", "queries", ",".join(resolver.addresses), "firewall", str(firewall)
        )
        self._start_gateway(stack)
        self._await_journals("flows", "asked", "queries", *(() if self._scene else ("origin",)))
        # Nothing that happened while it started belongs to anybody's attempt.
        list(self.news())

    def _start_attackers(self, stack: ExitStack, state: Path) -> None:
        self.tickets = real.write_gateway(state, self.plan, self.python)
        keys = self.folder / "keys.json"
        known = {key.id: key.secret for key in (SCANNED_KEY, ATTACKER_KEY)}
        keys.write_text(json.dumps(known), encoding="utf-8")
        self._program(
            stack, INTERNET, "origin", "origin",
            str(self.folder / "origin.pem"), str(self.folder / "origin.key"), str(keys),
        )  # fmt: skip

    def _start_gateway(self, stack: ExitStack) -> None:
        if self._kind == "bare":
            return
        if self._kind == "unprotected":
            ports = [str(port) for port in real.PORTS]
            process = self._run(
                stack, GATEWAY, [self.python, "-m", "glovebox.lab.open_proxy", *ports], "gateway"
            )
        else:
            self.namespaces.script(
                f"mkdir /run/lab/gateway && mount --bind '{self.folder / 'gateway'}' /run/lab/gateway\n"
            )
            process = self._gateway = self._run(stack, GATEWAY, real.squid_command(), "ledger")
        self._await(lambda: self._listens(process), lambda: self._said("gateway"))

    def _listens(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            raise UpstreamError(f"The lab's gateway ended: {self._said('ledger')}{self._said('gateway')}")
        table = subprocess.run(
            self.namespaces.inside(GATEWAY, ["cat", "/proc/net/tcp"]),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return all(f":{port:04X} {_LISTENING}" in table for port in real.PORTS)

    def _program(self, stack: ExitStack, machine: str | None, module: str, journal: str, *more: str) -> None:
        command = [self.python, "-m", f"glovebox.lab.{module}", str(self.journal(journal)), *more]
        self._run(stack, machine, command, journal)

    def _run(
        self, stack: ExitStack, machine: str | None, command: list[str], name: str
    ) -> subprocess.Popen[bytes]:
        """Standard output goes to the journal of that name where the program does not write it itself."""
        output = stack.enter_context(self.journal(name).open("ab"))
        errors = stack.enter_context((self.folder / f"{name}.log").open("ab"))
        if command[0] == "setpriv":
            os.fchown(output.fileno(), real.USER, real.USER)
            os.fchown(errors.fileno(), real.USER, real.USER)
        return self.namespaces.start(
            machine, command, environment=self.program_environment(), output=output, errors=errors
        )

    def _await_journals(self, *names: str) -> None:
        for name in names:
            path = self.journal(name)
            self._await(lambda path=path: b'"ready"' in path.read_bytes(), lambda name=name: self._said(name))  # type: ignore[misc]  # a lambda's default is not inferred

    def _said(self, name: str) -> str:
        log = self.folder / f"{name}.log"
        return log.read_text(errors="replace")[-2_000:] if log.exists() else ""

    def _await(self, ready: Callable[[], bool], said: Callable[[], str]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                raise UpstreamError(f"A part of the lab did not start: {said()}")
            time.sleep(_POLL)
