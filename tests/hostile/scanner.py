"""A scanner that is after what is not its own, or does harm: standard library alone, as any code might.

    scanner.py look       all that it can see becomes its report, coded so that no redaction finds it
    scanner.py HARM…      each in turn, see HARMS

It knows its two folders by GLOVEBOX_IN and GLOVEBOX_OUT, like all scanners.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

IN = Path(os.environ.get("GLOVEBOX_IN", "/glovebox/in"))
OUT = Path(os.environ.get("GLOVEBOX_OUT", "/glovebox/out"))
REPORT = "report.ocsf.json"
MOST = 64 << 10
"""Bytes of one thing seen; in hex, an item of the report."""
IMAGE = ("/usr", "/sys", "/proc", "/bin", "/lib", "/lib64", "/sbin", "/opt")
"""What came with the image, and what is looked at on its own."""
PATIENCE = 0.3
METADATA = [
    ("169.254.170.2", 80, "/v2/credentials"),
    ("169.254.170.2", 80, "/v4"),
    ("169.254.169.254", 80, "/latest/meta-data/iam/security-credentials/"),
    ("fd00:ec2::254", 80, "/latest/meta-data/"),
    ("fd00:ec2::23", 80, "/v1/credentials"),
    ("127.0.0.1", 51678, "/v1/metadata"),
]
"""Of tasks, of instances (both families), of pods, of the container agent."""

Seen = Iterator[tuple[str, bytes]]


def look() -> None:
    """One item for each thing, its bytes in hex; nothing else is odd about what it leaves."""
    (OUT / "scanner.log").touch()
    with (OUT / REPORT).open("w") as report:
        separator = "["
        for name, body in (*itself(), *files(), *processes(), *network(), *attempts()):
            report.write(separator + json.dumps({"name": name, "hex": body[:MOST].hex()}))
            separator = ",\n"
        report.write("]")


def itself() -> Seen:
    yield "environment", json.dumps(dict(os.environ)).encode()
    yield "identity", json.dumps([os.getresuid(), os.getresgid(), os.getgroups(), os.uname()]).encode()
    for number in range(64):
        with contextlib.suppress(OSError):
            yield f"descriptor {number}", str(Path(f"/proc/self/fd/{number}").readlink()).encode()


def files() -> Seen:
    """Everything readable beside the image's programs, and the names of all the rest."""
    for folder, below, names in os.walk("/"):
        below[:] = [name for name in below if str(Path(folder, name)) not in IMAGE]
        for name in names:
            path = Path(folder, name)
            yield f"file {path}", content(path)
    yield "listing /glovebox", json.dumps([listed(path) for path in Path("/glovebox").rglob("*")]).encode()
    yield f"listing {IN}", json.dumps([listed(path) for path in IN.iterdir()]).encode()


def content(path: Path) -> bytes:
    """No pipe is waited for, no device is read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b""
        with path.open("rb") as file:
            return file.read(MOST)
    except OSError as error:
        return f"<{error.strerror}>".encode()


def listed(path: Path) -> str:
    about = path.lstat()
    return f"{path} {stat.filemode(about.st_mode)} {about.st_uid}:{about.st_gid} {about.st_size}"


def processes() -> Seen:
    for here in Path("/proc").glob("[0-9]*"):
        pid = here.name
        for name in ("cmdline", "environ", "status", "maps", "mountinfo", "cgroup", "limits"):
            yield f"process {pid} {name}", content(here / name)
        with contextlib.suppress(OSError):
            yield f"process {pid} root", str(list((here / "root/glovebox").iterdir())).encode()
        if int(pid) != os.getpid():
            yield f"process {pid} memory", memory_of(here)
    for name in ("keys", "sysvipc/shm", "sysvipc/msg", "timer_list", "sched_debug"):
        yield f"kernel {name}", content(Path("/proc", name))


def memory_of(process: Path) -> bytes:
    """The writable parts of a neighbour's memory."""
    found = b""
    try:
        with (process / "mem").open("rb", 0) as mem:
            for line in (process / "maps").read_text().splitlines():
                span, rights = line.split()[:2]
                start, end = (int(each, 16) for each in span.split("-"))
                if rights.startswith("rw"):
                    mem.seek(start)
                    found += mem.read(min(end - start, MOST))
    except OSError as error:
        found += f"<{error.strerror}>".encode()
    return found


def network() -> Seen:
    for name in (
        "tcp",
        "tcp6",
        "udp",
        "udp6",
        "raw",
        "packet",
        "unix",
        "route",
        "ipv6_route",
        "if_inet6",
        "arp",
    ):
        yield f"sockets {name}", content(Path("/proc/net", name))
    for address, port, path in METADATA:
        yield f"metadata {address} {path}", asked(address, port, path)


def asked(address: str, port: int, path: str) -> bytes:
    try:
        with socket.create_connection((address, port), PATIENCE) as line:
            line.sendall(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
            return b"answered: " + line.recv(MOST)
    except OSError as error:
        return f"<{error.strerror or 'timed out'}>".encode()


def attempts() -> Seen:
    """What must not succeed; how each ended."""
    request, libc = IN / "request.json", ctypes.CDLL(None, use_errno=True)
    sources = IN / "tree" / "repository"

    def device() -> None:
        os.mknod(OUT / "device", stat.S_IFBLK | 0o666, os.makedev(8, 0))

    def raw() -> None:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()

    def mount() -> None:
        if libc.mount(b"none", b"/glovebox/in", None, 32, None) != 0:  # MS_REMOUNT without MS_RDONLY
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    tried: dict[str, Callable[[], object]] = {
        "create in": lambda: (IN / "mine").write_text("x"),
        "write in": lambda: request.open("ab").close(),
        "open in": lambda: request.chmod(0o666),
        "remove in": request.unlink,
        "rename in": lambda: request.rename(IN / "other"),
        "link in": lambda: (IN / "link").symlink_to("/etc/passwd"),
        "mount in": mount,
        "create in tree": lambda: (sources / "mine").write_text("x"),
        "write in tree": lambda: (sources / "README.md").open("ab").close(),
        "open tree": lambda: sources.chmod(0o777),
        "move canary": lambda: (IN / "tree" / "canary").rename(IN / "tree" / "other"),
        "write image": lambda: Path("/usr/bin/env").open("ab").close(),
        "write root": lambda: Path("/mine").write_text("x"),
        "become root": lambda: os.setuid(0),
        "make device": device,
        "raw socket": raw,
        "kernel log": lambda: Path("/dev/kmsg").read_bytes(),
    }
    for name, attempt in tried.items():
        try:
            attempt()
            yield f"attempt {name}", b"done"
        except OSError as error:
            yield f"attempt {name}", errno.errorcode.get(error.errno or 0, "?").encode()


def links() -> None:
    (OUT / REPORT).symlink_to("/proc/1/environ")
    (OUT / "scanner.log").symlink_to(IN / "credentials")
    (OUT / "exit.json").mkdir()
    os.mkfifo(OUT / "pipe")


def sparse() -> None:
    """A terabyte that takes no room."""
    for name in (REPORT, "scanner.log", "exit.json"):
        with (OUT / name).open("wb") as file:
            file.truncate(1 << 40)


def crowd() -> None:
    (OUT / REPORT).write_text("[]")
    for number in range(100_000):
        os.close(os.open(OUT / f"file-{number}", os.O_CREAT | os.O_WRONLY, 0o600))


def closed() -> None:
    (OUT / REPORT).write_text("[]")
    (OUT / REPORT).chmod(0)


def disk() -> None:
    """Until there is no room left: the report, and beside it for whatever has limits of its own."""
    for number in range(1_000):
        with (OUT / (f"more-{number}" if number else REPORT)).open("wb", 0) as file:
            file.write(b'[{"a":1},')
            try:
                while file.write(b" " * (1 << 20)):
                    pass
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    return


def memory() -> None:
    (OUT / REPORT).write_text('[{"a":1}')
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(1 << 12)) * (1 << 12))


def forks() -> None:
    """Children have children, for a second after the first refusal."""
    (OUT / REPORT).write_text("[]")
    (OUT / "exit.json").write_text('{"exit":0}')
    deadline = 0.0
    while not deadline or time.monotonic() < deadline:
        try:
            os.fork()
        except OSError:
            deadline = deadline or time.monotonic() + 1
            (OUT / "refused").touch()


def deaf() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    (OUT / REPORT).write_text("[]")
    (OUT / "listening").touch()
    while True:
        time.sleep(60)


HARMS: dict[str, Callable[[], None]] = {
    harm.__name__: harm for harm in (look, links, sparse, crowd, closed, disk, memory, forks, deaf)
}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        HARMS[name]()
