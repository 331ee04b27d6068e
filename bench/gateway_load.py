"""`python -m bench.gateway_load`: a client of the gateway; a `Job` on standard input, its `Load`s on output.

One process and one thread: each connection is a generator that says what it waits for.  What a client spends
less than asyncio's streams would, the gateway has on a small machine.
"""

from __future__ import annotations

import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Generator
from typing import Final, Literal, TypeVar

import msgspec

PATIENCE: Final = 10.0
_CHUNK: Final = 65_536
_GOOD: Final = b"HTTP/1.1 200 "

Result = TypeVar("Result")
Mode = Literal["kept", "new"]
READ, WRITE = select.EPOLLIN, select.EPOLLOUT
Steps = Generator[int, None, None]
"""What a connection waits for: `READ` or `WRITE`."""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a server is reached."""

    address: str
    port: int
    source: str
    """The client's own address."""
    host: str
    """Whose certificate is asked for."""
    authorities: str
    """File that the certificate must lead to."""
    connect: bytes = b""
    """A CONNECT with its ticket; empty: no gateway in between."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Requests one after the other on kept connections, or each on a new one."""

    mode: Mode
    ways: list[Way]
    """One way is loaded with `clients` at once; of several, one client takes each in turn."""
    request: bytes
    seconds: float
    clients: int = 1


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Of one way: requests that were answered with 200.  Anything else ends the run with an error."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float


class Client:
    """One connection at a time, and how long each request on it, or with it, took."""

    def __init__(self, way: Way, request: bytes) -> None:
        self._way = way
        self._request = request
        self._trust = ssl.create_default_context(cafile=way.authorities)
        self._expected = 0
        self.connection = socket.socket()
        self.took = list[float]()

    def load(self, mode: Mode, until: float) -> Steps:
        """Requests without a pause, as long as it is not yet `until`."""
        yield from self.begin(mode)
        while time.perf_counter() < until:
            yield from self.one(mode)

    def begin(self, mode: Mode) -> Steps:
        """Everything that comes before the first request that counts."""
        if mode == "kept":
            yield from self._open()
            yield from self._ask()  # The first one opens the gateway's own connection.

    def one(self, mode: Mode) -> Steps:
        began = time.perf_counter()
        if mode == "new":
            yield from self._open()
        yield from self._ask()
        self.took.append(time.perf_counter() - began)
        if mode == "new":
            self.connection.close()

    def _open(self) -> Steps:
        self.connection.close()
        self.connection = socket.socket()
        self.connection.setblocking(False)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.bind((self._way.source, 0))
        self.connection.connect_ex((self._way.address, self._way.port))
        yield WRITE
        if self._way.connect:
            self.connection.send(self._way.connect)
            yield READ
            answer = self.connection.recv(_CHUNK)
            if not answer.startswith(_GOOD):
                raise ConnectionError(f"the CONNECT's answer is {answer[:300]!r}")
        self.connection = self._trust.wrap_socket(
            self.connection, server_hostname=self._way.host, do_handshake_on_connect=False
        )
        yield from self._tls(self.connection.do_handshake)

    def _ask(self) -> Steps:
        self.connection.send(self._request)
        yield READ
        data = b""
        while not data or len(data) < self._expected:
            more = yield from self._tls(lambda: self.connection.recv(_CHUNK))
            data += more
            if not more or not data.startswith(_GOOD):
                raise ConnectionError(f"the answer is {data[:300]!r}")
            if not self._expected and b"\r\n\r\n" in data:
                self._expected = _length(data)

    def _tls(self, step: Callable[[], Result]) -> Generator[int, None, Result]:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                yield READ
            except ssl.SSLWantWriteError:
                yield WRITE


def _length(data: bytes) -> int:
    """Of a whole answer, which is the same each time: the origin has one, and dates are of one length."""
    head, _, _ = data.partition(b"\r\n\r\n")
    (length,) = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(head) + 4 + int(length.partition(b":")[2])


def run(job: Job) -> list[Load]:
    """The job's figures, a way after the other."""
    clients = [Client(way, job.request) for way in job.ways for _ in range(job.clients)]
    began = time.perf_counter()
    try:
        _drive(job, clients, began + job.seconds)
    finally:
        for client in clients:
            client.connection.close()
    spent = time.perf_counter() - began
    each = [clients[number : number + job.clients] for number in range(0, len(clients), job.clients)]
    return [_figures([took for client in group for took in client.took], spent) for group in each]


def _drive(job: Job, clients: list[Client], until: float) -> None:
    if len(job.ways) == 1:
        _together({client: client.load(job.mode, until) for client in clients})
        return
    for client in clients:
        _together({client: client.begin(job.mode)})
    while time.perf_counter() < until:
        for client in clients:
            _together({client: client.one(job.mode)})


def _together(running: dict[Client, Steps]) -> None:
    """Drives all of them to their ends; raises what one of them raises."""
    waiting = dict[int, Client]()
    with select.epoll() as poll:

        def step(client: Client) -> None:
            wanted = next(running[client], 0)
            if wanted:
                waiting[client.connection.fileno()] = client
                poll.register(client.connection, wanted)

        for client in running:
            step(client)
        while waiting:
            ready = poll.poll(PATIENCE)
            if not ready:
                raise TimeoutError(f"{len(waiting)} connections got no answer in {PATIENCE:g} s")
            for descriptor, _ in ready:
                poll.unregister(descriptor)
                step(waiting.pop(descriptor))


def _figures(took: list[float], spent: float) -> Load:
    ordered = sorted(took)
    return Load(
        requests=len(took),
        per_second=len(took) / spent,
        p50_ms=ordered[len(took) // 2] * 1_000,
        p99_ms=ordered[len(took) * 99 // 100] * 1_000,
    )


if __name__ == "__main__":
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(run(job)))
