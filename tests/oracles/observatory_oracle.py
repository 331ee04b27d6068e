"""MDN's HTTP Observatory as an oracle: the pinned npm package, fed with made-up sites."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from glovebox.siteaudit.web.cookies import CookieJar
from glovebox.siteaudit.web.exchange import Answer
from glovebox.siteaudit.web.observatory import Evidence
from glovebox.siteaudit.web.url import parse_url
from glovebox.siteaudit.web.visit import page_of

HERE = Path(__file__).parent / "observatory"
CACHE = Path(__file__).resolve().parents[2] / ".glovebox" / "oracles"
ORIGIN = "https://glovebox-audit.invalid"
PRELOADED = {"preloaded.com": False, "parent.com": True, "dev": True}
"""The preload list of these tests: name → whether it includes subdomains."""
Pairs = tuple[tuple[str, str], ...]


def preloaded(host: str) -> bool:
    parents = host.split(".")
    return host in PRELOADED or any(PRELOADED.get(".".join(parents[n:])) for n in range(1, len(parents)))


@dataclass(frozen=True)
class Case:
    """A site as both sides see it."""

    headers: Pairs = ()
    body: str = ""
    hostname: str = "www.example.com"
    scheme: str = "https"
    cookies: tuple[tuple[str, str], ...] = ()
    """Set by earlier answers of the chain: address and line."""
    route: tuple[str, ...] | None = ("http://www.example.com/", "https://www.example.com/")
    http_verified: bool = True
    https: bool = True
    https_verified: bool = True
    html: bool = True

    @property
    def session(self) -> str:
        return f"{self.scheme}://{self.hostname}/"

    @property
    def all_headers(self) -> Pairs:
        return (*((("Content-Type", "text/html; charset=utf-8"),) if self.html else ()), *self.headers)

    @property
    def all_cookies(self) -> tuple[tuple[str, str], ...]:
        own = tuple((self.session, value) for name, value in self.headers if name.lower() == "set-cookie")
        return (*self.cookies, *own)

    def question(self) -> str:
        answer = {"headers": self.all_headers, "status": 200}
        http = None if self.route is None else {"route": self.route, "verified": self.http_verified}
        return json.dumps(
            {
                "hostname": self.hostname,
                "session": self.session,
                "answer": answer,
                "body": self.body,
                "origin": ORIGIN,
                "cookies": self.all_cookies,
                "http": http,
                "https": {"answer": answer, "verified": self.https_verified} if self.https else None,
            }
        )

    def evidence(self) -> Evidence:
        answer = Answer(200, self.all_headers, self.body.encode())
        jar = CookieJar()
        for url, line in self.all_cookies:
            jar.store(parse_url(url), [line])
        return Evidence(
            hostname=self.hostname,
            scheme="https" if self.scheme == "https" else "http",
            answer=answer,
            page=page_of(answer, parse_url(self.session)),
            cookies=jar.cookies(),
            origin=ORIGIN,
            http_route=tuple(map(parse_url, self.route or ())),
            http_verified=self.http_verified,
            https_answer=answer if self.https else None,
            https_verified=self.https_verified,
            preloaded=preloaded,
        )


class Oracle:
    """The Observatory, waiting for cases."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["node", "answer.js"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def judge(self, case: Case) -> dict[str, object]:
        _pipe(self._process.stdin).write(case.question() + "\n")
        _pipe(self._process.stdin).flush()
        answer: dict[str, object] = json.loads(_pipe(self._process.stdout).readline())
        return answer

    def close(self) -> None:
        _pipe(self._process.stdin).close()
        self._process.wait(timeout=30)
        _pipe(self._process.stdout).close()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def installed() -> Path:
    """The folder with the pinned package, installed once for each lock file."""
    lock = (HERE / "package-lock.json").read_bytes()
    folder = CACHE / f"observatory-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        # Its own install script fetches Chromium's preload list, which these tests replace.
        subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            check=True,
            timeout=300,
            capture_output=True,
            env={**os.environ, "npm_config_update_notifier": "false"},
        )
        entries = {
            name: {"mode": "force-https", "includeSubDomains": below} for name, below in PRELOADED.items()
        }
        conf = folder / "node_modules/@mdn/mdn-http-observatory/conf"
        (conf / "hsts-preload.json").write_text(json.dumps(entries))
        (folder / "ready").touch()
    shutil.copy(HERE / "answer.js", folder)
    return folder
