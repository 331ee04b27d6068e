"""Namespaces that end with their keeper: nothing of the lab outlives the process that made it.

The keeper is process 1 of a PID namespace with private mounts and a network of its own, which is the
router.  The machines' namespaces are named under its private /run.  When the keeper ends, the kernel kills
every process inside and, with the last of them, takes the networks away; the keeper ends when its standard
input does, and by signal when whoever started it dies (`PR_SET_PDEATHSIG`).
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from glovebox.errors import UpstreamError
from glovebox.lab.plan import INTERNET, Machine, Plan
from glovebox.lab.rules import TABLE, render

ROUTER_ADDRESS = "100.64.0.1"
"""On every link of the router; outside all networks of the template (RFC 6598)."""
ROUTER_IPV6 = "fe80::1"
END_SECONDS = 5.0
START_SECONDS = 10.0
_CLONE_NEWNET = 0x40000000
"""linux/sched.h"""
_KEEPER = (
    "mount -t tmpfs -o mode=0755 lab /run && mkdir /run/netns"
    " && echo $(readlink /proc/self/ns/net) && exec cat >/dev/null"
)


class Namespaces:
    """The machines of a plan, linked by a router.  A context manager; what runs inside ends with it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stack = ExitStack()
        self._pid = 0

    def __enter__(self) -> Namespaces:
        with ExitStack() as stack:
            self._pid = self._start_keeper(stack)
            self.script(_build(self._plan))
            self.script(f"nft -f - <<'RULES'\n{render(self._plan)}RULES\n")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def flush(self) -> None:
        """Take every rule away: the control, in which everything must get out."""
        self.script(f"nft delete table inet {TABLE}\n")

    @property
    def run_folder(self) -> Path:
        """The machines' private /run, seen from outside."""
        return Path(f"/proc/{self._pid}/root/run")

    def script(self, text: str) -> str:
        """Run a shell script in the router; its output.  Raises UpstreamError with what it said."""
        done = subprocess.run(
            self.inside(None, ["sh", "-eu", "-s"]), input=text, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise UpstreamError(f"The lab could not be built: {done.stderr.strip()[:2000]}")
        return done.stdout

    def inside(self, machine: str | None, command: Sequence[str]) -> list[str]:
        """`command` as one that runs on `machine`, or on the router for `None`; as root."""
        enter = ["nsenter", f"--target={self._pid}", "--mount", "--net", "--pid", "--ipc", "--"]
        enter += ["setpriv", "--pdeathsig=KILL", "--"]  # What is ended here is ended inside.
        return [*enter, *(["ip", "netns", "exec", machine] if machine else []), *command]

    def start(
        self,
        machine: str | None,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        output: IO[bytes] | int | None = None,
        errors: IO[bytes] | int | None = None,
        orders: IO[bytes] | int | None = subprocess.DEVNULL,
        keeping: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a process on `machine`; it ends at the latest with the lab.

        It inherits the file descriptors of `keeping`: a socket stays on the network where it was made.
        """
        process = subprocess.Popen(
            self.inside(machine, command),
            env=dict(os.environ if environment is None else environment),
            cwd=folder,
            stdin=orders,
            stdout=output,
            stderr=errors,
            pass_fds=keeping,
            start_new_session=True,  # A Ctrl-C in the terminal is our maker's to handle, in order.
        )
        self._stack.callback(_end, process)
        return process

    def listening(self, machine: str, port: int, address: str = "") -> socket.socket:
        """A socket that listens on `machine`, on all of its addresses or on one, for this process to serve.

        What it accepts comes from the lab, and what this process opens beside it is the host's: the two
        networks have no other way between them.  Raises OSError.
        """
        place = os.open(self.run_folder / "netns" / machine, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # A namespace is a thread's; this one ends with its pool.
            with ThreadPoolExecutor(max_workers=1) as pool:
                return pool.submit(_listening, place, port, address).result()
        finally:
            os.close(place)

    def _start_keeper(self, stack: ExitStack) -> int:
        spaces = ["--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child=KILL", "--mount-proc"]
        keeper = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "unshare", *spaces, "sh", "-euc", _KEEPER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        stack.callback(_end, keeper)
        if keeper.stdout is None or not keeper.stdout.readline():
            _, said = keeper.communicate(timeout=END_SECONDS)
            raise UpstreamError(f"The lab's keeper did not start: {said.decode(errors='replace').strip()}")
        return only_child(keeper.pid)


def only_child(pid: int) -> int:
    """The process that a wrapper such as nsenter started."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _listening(place: int, port: int, address: str) -> socket.socket:
    if ctypes.CDLL(None, use_errno=True).setns(place, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return socket.create_server((address, port), backlog=128)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait(END_SECONDS)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _build(plan: Plan) -> str:
    """Namespaces, links, addresses and routes, as one shell script round `ip -batch`."""
    machines = list(plan.machines.values())
    batch = [f"netns add {machine.name}" for machine in machines]
    batch += [f"link add {m.name} type veth peer name eth0 netns {m.name}" for m in machines]
    for machine in machines:
        batch += _router_side(machine)
    script = [
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
        "ip link set lo up",
        _batch("ip -batch -", batch),
    ]
    script += [_batch(f"ip -n {machine.name} -batch -", _machine_side(machine)) for machine in machines]
    # A generous host: whoever wants to may send echo requests, so that the perimeter has to stop them.
    script += [
        f"ip netns exec {machine.name} sysctl -qw 'net.ipv4.ping_group_range=0 2147483647'"
        for machine in machines
        if machine.ipv6
    ]
    return "\n".join(script) + "\n"


def _router_side(machine: Machine) -> list[str]:
    link = f"dev {machine.name}"
    lines = [
        f"addr add {ROUTER_ADDRESS}/32 {link}",
        f"addr add {ROUTER_IPV6}/64 {link} nodad",
        f"link set {machine.name} up",
    ]
    lines += [f"route add {address}/32 {link}" for address in machine.addresses]
    if machine.ipv6:
        lines.append(f"route add {machine.ipv6}/128 {link}")
    if machine.name == INTERNET:
        lines.append(f"route add default {link}")
    return lines


def _machine_side(machine: Machine) -> list[str]:
    lines = ["link set lo up", "link set eth0 up"]
    lines += [f"addr add {address}/32 dev eth0" for address in machine.addresses]
    lines.append(f"route add default via {ROUTER_ADDRESS} dev eth0 onlink src {machine.address}")
    if machine.holds:
        lines.append(f"route add local {machine.holds} dev lo")
    if machine.ipv6:
        lines += [
            f"addr add {machine.ipv6}/128 dev eth0 nodad",
            f"route add default via {ROUTER_IPV6} dev eth0",
        ]
    return lines


def _batch(command: str, lines: Sequence[str]) -> str:
    return f"{command} <<'LINES'\n" + "\n".join(lines) + "\nLINES"
