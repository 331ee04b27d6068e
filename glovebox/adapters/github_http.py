"""HTTP to GitHub: no redirect by itself, bounded answers, patience with limits and failures, then an end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import requests
import urllib3
from requests import Response
from requests.adapters import HTTPAdapter

from glovebox.errors import ConfigurationError
from glovebox.snapshots.errors import SnapshotError

PATIENCE: Final = 60.0
"""Seconds that one snapshot waits for the host in all: `snapshot` has five minutes, and launch's scan may ask
again."""
TRIES: Final = 6
TIMEOUT: Final = (10.0, 30.0)
_FIRST_WAIT: Final = 0.5
_PIECE: Final = 256 << 10
_AGENT: Final = "glovebox-snapshot"
_VERSION: Final = "2022-11-28"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class TooLongError(SnapshotError):
    """An answer of more bytes than it may have."""


class _Session(requests.Session):
    def get_redirect_target(self, resp: Response) -> str | None:
        """None: `requests` prepares the way to it, and reads the answer, where it must not follow."""
        return None


def _session() -> requests.Session:
    session = _Session()
    # Neither a proxy nor a .netrc of the environment has any business here.
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=16))
    return session


@dataclass(slots=True)
class Http:
    """Requests to one interface.  No error names a token, or an address."""

    api: str
    session: requests.Session = field(default_factory=_session)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        """Raises ConfigurationError for an address that is neither https nor loopback."""
        self.api = self.api.rstrip("/")
        url = urlsplit(self.api)
        if url.scheme != "https" and not self._is_local:
            raise ConfigurationError(
                "The interface of GitHub is not reached by https.", fix="Set GITHUB_API to https://…"
            )

    def anew(self) -> Http:
        """The same, with patience that is whole."""
        return Http(self.api, self.session, self.sleep, self.clock)

    def read(
        self,
        method: str,
        path: str,
        token: str,
        most: int,
        *,
        body: bytes | None = None,
        accept: str = "application/vnd.github+json",
    ) -> tuple[Response, bytes]:
        """The answer, whatever its status, and its body, of at most `most` bytes.

        Raises SnapshotError (`rate_limited`, `host_unavailable`), and TooLongError, which is one.
        """
        headers = {
            "Accept": accept,
            "Authorization": f"Bearer {token}",
            "User-Agent": _AGENT,
            "X-GitHub-Api-Version": _VERSION,
        }
        with self._patiently(method, self.api + path, headers, body) as answer:
            try:
                data = b"".join(_bounded(answer.iter_content(_PIECE), most))
            except requests.RequestException as error:
                raise _unreached(error) from None
        return answer, data

    def try_once(self, method: str, path: str, token: str) -> None:
        """Whatever becomes of it."""
        headers = {"Authorization": f"Bearer {token}", "User-Agent": _AGENT}
        try:
            self._send(method, self.api + path, headers, None).close()
        except requests.RequestException:
            return

    @contextmanager
    def download(self, url: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Status and bytes, as they come, of an address that is a capability of its own: no token goes there.

        Raises SnapshotError: `access_denied` where it is not https, `snapshot_damaged` where it breaks off.
        """
        if not self._may_follow(url):
            raise SnapshotError("access_denied", "The host keeps the archive where it is not safe to fetch.")
        with self._patiently(
            "GET", url, {"User-Agent": _AGENT, "Accept-Encoding": "identity"}, None
        ) as answer:
            yield answer.status_code, _raw(answer)

    @property
    def _is_local(self) -> bool:
        url = urlsplit(self.api)
        return url.scheme == "http" and url.hostname in _LOOPBACK

    def _may_follow(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        if parts.username or not parts.hostname:
            return False
        return parts.scheme == "https" or (
            self._is_local and parts.scheme == "http" and parts.hostname in _LOOPBACK
        )

    @contextmanager
    def _patiently(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> Iterator[Response]:
        """The first answer that is neither a limit nor a failure of the host's."""
        failure = SnapshotError("host_unavailable", "The host does not answer.")
        for attempt in range(TRIES):
            wait = _FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311 (no secret)
            try:
                answer = self._send(method, url, headers, body)
            except requests.RequestException as error:
                failure = _unreached(error)
            else:
                if _is_limit(answer):
                    failure = SnapshotError("rate_limited", "The host asks us to wait.")
                    wait = max(wait, self._asked_wait(answer))
                elif answer.status_code >= 500:
                    failure = SnapshotError("host_unavailable", f"The host answered {answer.status_code}.")
                else:
                    with answer:
                        yield answer
                    return
                answer.close()
            if wait > self.patience:
                break
            self.patience -= wait
            self.sleep(wait)
        raise failure

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Response:
        return self.session.request(
            method, url, headers=headers, data=body, timeout=TIMEOUT, stream=True, allow_redirects=False
        )

    def _asked_wait(self, answer: Response) -> float:
        """Seconds, as the host says (its documentation on rate limits)."""
        after = answer.headers.get("retry-after", "")
        if after.isascii() and after.isdigit():
            return float(after[:6])
        reset = answer.headers.get("x-ratelimit-reset", "")
        if reset.isascii() and reset.isdigit() and answer.headers.get("x-ratelimit-remaining") == "0":
            return max(0.0, float(reset[:12]) - self.clock())
        return 0.0


def _is_limit(answer: Response) -> bool:
    """GitHub answers 403 for the first limit and for the second, and for what is forbidden."""
    if answer.status_code == 429:
        return True
    told = "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0"
    return answer.status_code == 403 and told


def _bounded(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    for piece in pieces:
        most -= len(piece)
        if most < 0:
            raise TooLongError("host_unavailable", "The host's answer is too long.")
        yield piece


def _raw(answer: Response) -> Iterator[bytes]:
    """As sent: `requests` would unpack what says that it is gzip."""
    try:
        yield from answer.raw.stream(_PIECE, decode_content=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise SnapshotError("snapshot_damaged", f"The download broke off ({type(error).__name__}).") from None


def _unreached(error: requests.RequestException) -> SnapshotError:
    """Its class alone: its text names the address."""
    return SnapshotError("host_unavailable", f"The host cannot be reached ({type(error).__name__}).")
