"""A headless Chromium, driven over its DevTools pipe: the browser itself, and nothing to install beside it.

Messages are JSON, ended by a NUL, on the file descriptors 3 and 4 (`--remote-debugging-pipe`).
The protocol: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Message: TypeAlias = dict[str, Json]

PATIENCE = 30.0
"""Seconds for anything: a busy machine starts a browser slowly."""
_FLAGS = (
    "--headless",
    "--no-sandbox",  # our own pages only, and containers run the tests as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)
_ON_PIPES = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4);"
    "os.execvp(sys.argv[3], sys.argv[3:])"
)
"""Chromium wants its pipes at 3 and 4, which Python cannot promise to a child by itself."""


def executable() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(path for path in map(shutil.which, names) if path)


class Browser:
    """Speaks the protocol; `page` opens a page of its own."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = b""
        self._count = 0
        self._events: list[Message] = []

    def call(self, method: str, session: str | None = None, **parameters: Json) -> Message:
        """The result of one command; raises AssertionError with what Chromium said."""
        self._count += 1
        message: Message = {"id": self._count, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer["error"]
                result = answer["result"]
                assert isinstance(result, dict)
                return result
            self._events.append(answer)

    def events(self, session: str, *methods: str) -> list[Message]:
        """What has happened in a session so far."""
        self.call("Browser.getVersion")  # reads everything that came before its answer
        return [one for one in self._events if one.get("sessionId") == session and one["method"] in methods]

    def page(self, *, width: int = 1100, height: int = 1000, dark: bool = False) -> Page:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        assert isinstance(session, str)
        return Page(self, session, width, height, dark=dark)

    def _receive(self) -> Message:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reader], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"Chromium says nothing for {PATIENCE:g} s"
            data = os.read(self._reader, 1 << 16)
            assert data, "Chromium has gone"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(line)
        assert isinstance(message, dict)
        return message


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str, width: int, height: int, *, dark: bool) -> None:
        self._browser = browser
        self._session = session
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme: Json = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", features=scheme)

    def open(self, address: str) -> None:
        answer = self._call("Page.navigate", url=address)
        assert "errorText" not in answer, answer

    def evaluate(self, expression: str) -> Json:
        """The value of an expression, awaited; raises AssertionError with its exception."""
        answer = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        result = answer["result"]
        assert isinstance(result, dict)
        return result.get("value")

    def wait(self, expression: str) -> Json:
        """The value of an expression once it is true; raises AssertionError when it stays false."""
        deadline = time.monotonic() + PATIENCE
        # An element has no value outside of the page, so it counts as plain truth.
        value_of = f"((value) => value instanceof Node || value)({expression})"
        while not (value := self.evaluate(value_of)):
            assert time.monotonic() < deadline, (
                f"never true: {expression}\n{self.text()}\n{self.complaints()}"
            )
            time.sleep(0.05)
        return value

    def text(self, selector: str = "body") -> str:
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def press(self, key: str) -> None:
        """A key by its DOM name, such as `Tab` or `Enter`."""
        codes: dict[str, Message] = {
            "Tab": {"windowsVirtualKeyCode": 9},
            "Enter": {"windowsVirtualKeyCode": 13, "text": "\r"},
            "ArrowRight": {"windowsVirtualKeyCode": 39},
        }
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **codes[key])

    def type(self, text: str) -> None:
        self._call("Input.insertText", text=text)

    def complaints(self) -> list[str]:
        """What the console holds of violations, exceptions and errors."""
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [json.dumps(one["params"]) for one in self._browser.events(self._session, *kinds)]

    def screenshot(self, path: Path) -> None:
        data = self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        assert isinstance(data, str)
        path.write_bytes(base64.b64decode(data))

    def _call(self, method: str, **parameters: Json) -> Message:
        return self._browser.call(method, self._session, **parameters)


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile, which ends with the block."""
    to_child, from_us = os.pipe()
    to_us, from_child = os.pipe()
    # Out of the way of 3 and 4, so that putting one pipe in its place cannot close the other.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (to_child, from_child)]
    for end in (to_child, from_child):
        os.close(end)
    command = [executable(), *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_PIPES, *map(str, ends), *command],
        pass_fds=ends,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for end in ends:
        os.close(end)
    try:
        yield Browser(to_us, from_us)
    finally:
        os.close(from_us)
        os.close(to_us)
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Chromium leaves when its pipe closes; whatever is left of its session is killed."""
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
