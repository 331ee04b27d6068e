"""The `shodan` library behind our port, and a cache of files.

The library sleeps by itself to hold Shodan's pace, sends requests without a time limit,
takes its address from the environment and turns every failure into one exception without
the status code.  So: its pace is switched off (the service has its own), and an HTTP
adapter of ours sets the time limit and keeps what the server really said.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import requests
from requests.adapters import HTTPAdapter
from shodan import APIError
from shodan import Shodan as Library
from urllib3.exceptions import ReadTimeoutError

from glovebox.errors import ConfigurationError
from glovebox.siteaudit.record import Shodan
from glovebox.sites.shodan import ShodanError, ShodanFailure

SHODAN_API = "https://api.shodan.io"
TIMEOUT = (5.0, 20.0)
"""Seconds to connect and between bytes: Shodan answers in one or two."""
MAX_KEY_BYTES = 1_024
"""A key is 32 characters; a longer file is not a key file."""
_WORD, _TEXT = 256, 2_048
"""The record's caps for texts."""
_STATUS_FAILURES = {
    401: ShodanFailure.BAD_KEY,
    403: ShodanFailure.FORBIDDEN,
    429: ShodanFailure.RATE_LIMITED,
}
_BROKEN_OFF = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
"""What ends an answer in its middle."""


class ShodanClient:
    """Asks Shodan for one address. `base_url` is another one in tests only."""

    def __init__(
        self, key: str, *, base_url: str = SHODAN_API, timeout: tuple[float, float] = TIMEOUT
    ) -> None:
        """Raises ShodanError of kind `no_key` for an empty key."""
        if not key:
            raise ShodanError(ShodanFailure.NO_KEY, "there is no Shodan key")
        self._wire = _Wire(timeout)
        session = requests.Session()
        # Shodan's API does not redirect, and a redirect would carry the key elsewhere.
        session.max_redirects = 0
        session.mount("https://", self._wire)
        session.mount("http://", self._wire)
        self._library = Library(key)
        self._library.base_url = base_url
        self._library.api_rate_limit = 0
        self._library._session = session

    def host(self, address: str) -> Shodan | None:
        """What Shodan knows (`found`), or `None` for an address it does not know; raises ShodanError."""
        self._wire.forget()
        try:
            answer = self._library.host(str(ipaddress.ip_address(address)), minify=True)
        except APIError as error:
            failure = self._failure(error)
            if failure is None:
                return None
            raise failure from error
        if self._wire.status != requests.codes.ok:
            raise self._unexpected()
        return _converted(answer)

    def _failure(self, error: Exception) -> ShodanError | None:
        """What the library's one exception stands for; `None` for an address that Shodan does not know.

        Its text is never quoted where no answer came: it may hold the address with the key.
        """
        status = self._wire.status
        cause = error.__context__
        if status is None or isinstance(cause, _BROKEN_OFF):
            kind = ShodanFailure.TIMEOUT if _is_timeout(cause) else ShodanFailure.UNREACHABLE
            return ShodanError(kind, f"no whole answer ({type(cause).__name__})")
        if status == requests.codes.not_found and self._wire.is_json:
            return None
        if status == requests.codes.ok:
            return ShodanError(ShodanFailure.BAD_ANSWER, "the answer is not of Shodan's format")
        return self._unexpected()

    def _unexpected(self) -> ShodanError:
        status = self._wire.status or 0
        kind = _STATUS_FAILURES.get(status)
        if kind is None:
            server_error = status >= requests.codes.internal_server_error
            kind = ShodanFailure.SERVER_ERROR if server_error else ShodanFailure.BAD_ANSWER
        return ShodanError(kind, f"Shodan answered {status}", retry_after=self._wire.retry_after)


class _Wire(HTTPAdapter):
    """Sets the time limit and keeps what the last answer said."""

    def __init__(self, timeout: tuple[float, float]) -> None:
        super().__init__()
        self._timeout = timeout
        self.forget()

    def forget(self) -> None:
        self.status: int | None = None
        self.is_json = False
        self.retry_after: float | None = None

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        response = super().send(request, stream, self._timeout, verify, cert, proxies)
        self.status = response.status_code
        self.is_json = "json" in response.headers.get("Content-Type", "")
        wait = response.headers.get("Retry-After", "")
        self.retry_after = float(wait) if wait.isascii() and wait.isdecimal() else None
        return response


def _is_timeout(cause: BaseException | None) -> bool:
    """A time limit within the body reaches us as a ConnectionError round urllib3's own."""
    inner = cause.args[0] if cause and cause.args else None
    return isinstance(cause, requests.Timeout) or isinstance(inner, ReadTimeoutError)


def _converted(answer: object) -> Shodan:
    """Shodan's words as ours, cut to the record's caps; raises ShodanError where they are of another kind."""
    if not isinstance(answer, dict) or "ip_str" not in answer:
        raise ShodanError(ShodanFailure.BAD_ANSWER, "the answer names no address")
    fields = {
        "status": "found",
        "ipStr": _cut(answer.get("ip_str"), _WORD),
        "asn": _cut(answer.get("asn"), _WORD),
        "asnCountryCode": _cut(answer.get("country_code"), _WORD),
        "isp": _cut(answer.get("isp"), _TEXT),
        "org": _cut(answer.get("org"), _TEXT),
        "os": _cut(answer.get("os"), _WORD),
        "ports": _cut(answer.get("ports") or [], 2_000),
        "hostnames": [_cut(name, _WORD) for name in _listed(answer.get("hostnames"))][:200],
        "vulns": [_cut(name, _WORD) for name in _listed(answer.get("vulns"))][:1_000],
        "lastUpdate": _cut(answer.get("last_update"), _WORD),
    }
    try:
        return msgspec.convert(fields, Shodan)
    except msgspec.ValidationError as error:
        raise ShodanError(
            ShodanFailure.BAD_ANSWER, f"the answer is not of Shodan's format: {error}"
        ) from error


def _cut(value: object, limit: int) -> object:
    return value[:limit] if isinstance(value, str | list) else value


def _listed(value: object) -> list[object]:
    """A list, or the keys of the mapping that Shodan gives to some plans instead."""
    if isinstance(value, list | dict):
        return list(value)
    return [] if value is None else [value]


class FileShodanCache:
    """One small JSON file an address, in a folder of the user's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, address: str) -> Shodan | None:
        """`None` also for a file that a crash left half written."""
        try:
            return msgspec.json.decode(self._path(address).read_bytes(), type=Shodan)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def put(self, address: str, answer: Shodan) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(address)
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(answer))
        part.replace(path)

    def _path(self, address: str) -> Path:
        """Named by the address's bytes, so that no text of a record can choose another path."""
        return self._folder / f"{ipaddress.ip_address(address).packed.hex()}.json"


def user_cache_folder() -> Path:
    """Where the XDG base directory specification keeps what can be made again."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "glovebox" / "shodan"


def read_key_file(path: Path) -> str:
    """The key in a file, which other users must not be able to read; raises ConfigurationError."""
    try:
        with path.open("rb") as file:
            key = file.read(MAX_KEY_BYTES + 1)
            mode = path.stat().st_mode
    except OSError as error:
        raise ConfigurationError(
            f"The Shodan key file {path} cannot be read ({error.strerror}).", fix="Check its path and owner."
        ) from error
    text = key.decode("ascii", errors="replace").strip()
    if not (text.isascii() and text.isalnum() and len(key) <= MAX_KEY_BYTES):
        raise ConfigurationError(
            f"{path} holds no Shodan key.", fix="Put the key, and nothing else, into it."
        )
    if mode & 0o077:
        raise ConfigurationError(
            f"Other users may read the Shodan key file {path}.", fix=f"Run: chmod 600 {path}"
        )
    return text
