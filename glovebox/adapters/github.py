"""GitHub, as a GitHub App sees it: rights to one repository, commits, trees, archives, and what is installed.

The App's key signs a JWT (RS256, RFC 7515 and RFC 7519), the JWT buys a token of one installation, and the
token is narrowed to one repository and to reading.  Neither, nor an address, is in any error or log.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar
from urllib.parse import quote, urljoin

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from msgspec import Struct
from requests import Response

from glovebox import log
from glovebox.adapters.github_http import Http, TooLongError
from glovebox.registry.codeowners import PLACES, owners_of_all
from glovebox.scans.repositories import Commit
from glovebox.snapshots.errors import SnapshotError
from glovebox.snapshots.ports import Blob, HostRepository, Tree

JWT_SECONDS: Final = 540
"""GitHub takes ten minutes at most, counted from its own clock."""
JWT_BACKDATED: Final = 60
"""As GitHub recommends, for clocks that are behind."""
PERMISSIONS: Final = {"contents": "read", "metadata": "read"}
PAGE: Final = 100
MAX_PAGES: Final = 100
"""10,000 installations, or repositories of one; more are half an answer, which nobody gets."""
_ASKED_AT_ONCE: Final = 8
_MAX_SMALL: Final = 4 << 20
_MAX_TREE: Final = 32 << 20
"""GitHub cuts trees off at 7 MB and 100,000 entries."""
_MAX_OWNERS: Final = 3 << 20
"""GitHub reads no CODEOWNERS beyond 3 MB."""
_NO_REF: Final = re.compile(r"\.\.|(?:\A|/)\.|//")
"""What git takes for no name of a reference, and an address for a way up."""

T = TypeVar("T")


class _Token(Struct):
    token: str
    permissions: dict[str, str] = {}
    repositories: list[_Repository] | None = None


class _Repository(Struct):
    id: int
    full_name: str
    private: bool = True
    archived: bool = False
    default_branch: str | None = None
    topics: list[str] = []


class _Installation(Struct):
    id: int
    suspended_at: str | None = None


class _Installed(Struct):
    repositories: list[_Repository]
    total_count: int = 0


class _Named(Struct):
    sha: Commit


class _Entry(Struct):
    path: str
    mode: str
    type: str
    sha: Commit
    size: int = 0


class _Tree(Struct):
    tree: list[_Entry]
    truncated: bool


@dataclass(frozen=True, slots=True)
class AppCredentials:
    """Of a GitHub App; its key is PEM."""

    app_id: str
    private_key: str = field(repr=False)


class _UninstalledError(SnapshotError):
    """There is no such installation, or it may not read."""


class GitHub:
    """`glovebox.snapshots.ports.SourceHost` on GitHub or an Enterprise server."""

    def __init__(
        self,
        credentials: Callable[[], AppCredentials],
        *,
        host: str,
        api: str,
        http: Http | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`host`: what ids begin with; `api`: `https://api.github.com` or `https://HOST/api/v3`."""
        self._credentials = credentials
        self._host = host.lower()
        self._http = http or Http(api)
        self._clock = clock

    @contextmanager
    def open(self, repository: str, *, number: int = 0, installation: int = 0) -> Iterator[GitHubRepository]:
        host, _, name = repository.partition("/")
        if host != self._host:
            raise SnapshotError("repository_gone", f"{repository} is of another host than {self._host}.")
        http = self._http.anew()
        asked = {"repository_ids": [number]} if number else {"repositories": [name.partition("/")[2]]}
        try:
            token = self._token(http, installation or self._installation(http, name), asked)
        except _UninstalledError:
            if not installation:
                raise
            # An App that was installed anew has another number, which the next sync puts on record.
            token = self._token(http, self._installation(http, name), asked)
        try:
            named = token.repositories or []
            if len(named) != 1:
                raise _wider()
            _require_narrow(token)
            if named[0].full_name.lower() != name:
                raise _renamed(repository, f"{self._host}/{named[0].full_name.lower()}")
            yield GitHubRepository(http, token.token, self._host, name)
        finally:
            _give_back(http, token.token)

    def repositories(self) -> Iterator[HostRepository]:
        http = self._http.anew()
        found = self._paged(http, "/app/installations", self._jwt, lambda b: _decoded(b, list[_Installation]))
        for each in found:
            if each.suspended_at is None:
                yield from self._installed(http, each.id)

    def _installed(self, http: Http, installation: int) -> Iterator[HostRepository]:
        right = self._token(http, installation, {})
        token = right.token
        try:
            _require_narrow(right)
            listed = self._paged(
                http,
                "/installation/repositories",
                lambda: token,
                lambda body: _decoded(body, _Installed).repositories,
            )
            with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
                yield from pool.map(lambda each: self._told(http, token, installation, each), listed)
        finally:
            _give_back(http, token)

    def _told(self, http: Http, token: str, installation: int, each: _Repository) -> HostRepository:
        name = each.full_name.lower()
        # Nobody changes an archived one, so nobody is asked about it.
        owners = () if each.archived else _owners(http.anew(), token, each.full_name)
        return HostRepository(
            id=f"{self._host}/{name}",
            number=each.id,
            installation=installation,
            default_branch=each.default_branch or "",
            private=each.private,
            archived=each.archived,
            topics=tuple(each.topics),
            codeowners=owners,
        )

    # ------------------------------------------------------------ rights

    def _jwt(self) -> str:
        """Raises SnapshotError for a key that is none."""
        credentials = self._credentials()
        now = int(self._clock())
        claims = {"iat": now - JWT_BACKDATED, "exp": now + JWT_SECONDS, "iss": credentials.app_id}
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        try:
            key = serialization.load_pem_private_key(credentials.private_key.encode(), password=None)
        except (ValueError, TypeError):
            # From None: the library's error may quote the key.
            raise SnapshotError("access_denied", "The GitHub App's private key is none.") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise SnapshotError("access_denied", "The GitHub App's private key is not an RSA key.")
        signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_url64(signature)}"

    def _installation(self, http: Http, name: str) -> int:
        answer, body = http.read("GET", f"/repos/{_quoted(name)}/installation", self._jwt(), _MAX_SMALL)
        if answer.status_code in (301, 307, 308):
            raise SnapshotError("repository_renamed", f"{self._host}/{name} has another name now.")
        if answer.status_code in (404, 410, 451):
            raise SnapshotError(
                "repository_gone", f"The GitHub App is not installed on {self._host}/{name}, or it is gone."
            )
        _require_ok(answer, "the installation")
        found = _decoded(body, _Installation)
        if found.suspended_at is not None:
            raise SnapshotError("access_denied", "The GitHub App's installation is suspended.")
        return found.id

    def _token(self, http: Http, installation: int, asked: Mapping[str, object]) -> _Token:
        answer, body = http.read(
            "POST",
            f"/app/installations/{installation}/access_tokens",
            self._jwt(),
            _MAX_SMALL,
            body=json.dumps({**asked, "permissions": PERMISSIONS}).encode(),
        )
        if answer.status_code == 422 and asked:
            raise SnapshotError(
                "repository_gone", "The repository is no longer among those of the installation."
            )
        if answer.status_code in (404, 422):
            raise _UninstalledError(
                "access_denied", "The GitHub App is not installed there, or may not read."
            )
        _require_ok(answer, "a token")
        return _decoded(body, _Token)

    def _paged(
        self,
        http: Http,
        path: str,
        right: Callable[[], str],
        items: Callable[[bytes], Sequence[T]],
    ) -> list[T]:
        found: list[T] = []
        for page in range(1, MAX_PAGES + 1):
            answer, body = http.read("GET", f"{path}?per_page={PAGE}&page={page}", right(), _MAX_SMALL)
            _require_ok(answer, "what is installed")
            listed = items(body)
            found.extend(listed)
            if len(listed) < PAGE:
                return found
        raise SnapshotError("host_unavailable", f"The host lists more than {MAX_PAGES * PAGE:,}.")


class GitHubRepository:
    """`glovebox.snapshots.ports.Source` on one repository."""

    def __init__(self, http: Http, token: str, host: str, name: str) -> None:
        self._http = http
        self._token = token
        self._host = host
        self._name = name

    def commit(self, ref: str) -> str:
        unknown = SnapshotError("ref_unknown", f"{self._host}/{self._name} has no {ref or 'default branch'}.")
        if _NO_REF.search(ref):
            raise unknown
        answer, body = self._ask(f"/commits/{quote(ref or 'HEAD')}", accept="application/vnd.github.sha")
        if answer.status_code == 409:
            raise SnapshotError("repository_empty", f"{self._host}/{self._name} has no commit.")
        if answer.status_code in (404, 422):
            self._require_there()
            raise unknown
        _require_ok(answer, "the commit")
        text = body[:100].decode("ascii", "replace").strip()
        return _decoded(json.dumps({"sha": text}).encode(), _Named).sha

    def tree(self, commit: str) -> Tree:
        answer, body = self._ask(f"/git/trees/{commit}?recursive=1", most=_MAX_TREE)
        _require_ok(answer, "the tree")
        told = _decoded(body, _Tree)
        modes = {entry.path: entry.mode for entry in told.tree if entry.type != "tree"}
        blobs = {entry.path: Blob(entry.sha, entry.size) for entry in told.tree if entry.type == "blob"}
        return Tree(modes, blobs, told.truncated)

    @contextmanager
    def archive(self, commit: str) -> Iterator[Iterator[bytes]]:
        path = f"/repos/{_quoted(self._name)}/tarball/{commit}"
        answer, _ = self._http.read("GET", path, self._token, _MAX_SMALL)
        if answer.status_code != 302:
            _require_ok(answer, "the archive")
            raise SnapshotError("host_unavailable", "The host does not say where the archive is.")
        with self._http.download(answer.headers.get("location", "")) as (status, pieces):
            _require_status(status, "the archive")
            yield pieces

    def _ask(
        self, path: str, *, most: int = _MAX_SMALL, accept: str = "application/vnd.github+json"
    ) -> tuple[Response, bytes]:
        answer, body = self._http.read(
            "GET", f"/repos/{_quoted(self._name)}{path}", self._token, most, accept=accept
        )
        if answer.status_code in (301, 307, 308):
            raise _renamed(f"{self._host}/{self._name}", self._new_name(answer.headers.get("location", "")))
        return answer, body

    def _new_name(self, location: str) -> str:
        """Empty where the host does not say it in its own place."""
        base = self._http.api + "/"
        there = urljoin(base, location)
        if not there.startswith(base):
            return ""
        answer, body = self._http.read("GET", there.removeprefix(self._http.api), self._token, _MAX_SMALL)
        return f"{self._host}/{_decoded(body, _Repository).full_name.lower()}" if answer.ok else ""

    def _require_there(self) -> None:
        answer, _ = self._ask("")
        if answer.status_code != 200:
            _require_ok(answer, "the repository")


def _owners(http: Http, token: str, name: str) -> tuple[str, ...]:
    """None, and a word in the log, where the host does not give this one repository's.

    Whoever may write to it brings that about, so it must not end the listing of all the others.
    """
    for place in PLACES:
        path = f"/repos/{_quoted(name)}/contents/{place}"
        try:
            answer, body = http.read(
                "GET", path, token, _MAX_OWNERS, accept="application/vnd.github.raw+json"
            )
        except TooLongError:
            log.warning("owners not read", repository=name, reason="too long")
            return ()
        if answer.status_code == 200:
            return owners_of_all(body)
        if answer.status_code == 401:
            # The right to all of them is gone.
            _require_ok(answer, "CODEOWNERS")
        if answer.status_code != 404:
            log.warning("owners not read", repository=name, reason=f"status {answer.status_code}")
            return ()
    return ()


def _give_back(http: Http, token: str) -> None:
    """What is not used any more shall not work any more; an hour later it would not, anyway."""
    http.try_once("DELETE", "/installation/token", token)


def _require_ok(answer: Response, what: str) -> None:
    _require_status(answer.status_code, what)


def _require_status(status: int, what: str) -> None:
    """Raises SnapshotError for all but 200 and 201."""
    if status in (200, 201):
        return
    if status in (401, 403):
        raise SnapshotError("access_denied", f"The host refuses {what} ({status}).")
    if status in (404, 410, 451):
        raise SnapshotError("repository_gone", f"The host does not find {what} ({status}).")
    raise SnapshotError("host_unavailable", f"The host answered {status} about {what}.")


def _renamed(repository: str, to: str) -> SnapshotError:
    where = f"{to} now" if to else "under another name now"
    return SnapshotError("repository_renamed", f"{repository} is {where}.")


def _require_narrow(token: _Token) -> None:
    """Raises SnapshotError for a right to more than reading what was asked for."""
    more = token.permissions.keys() - PERMISSIONS.keys()
    if more or any(value != "read" for value in token.permissions.values()):
        raise _wider()


def _wider() -> SnapshotError:
    return SnapshotError("access_denied", "The host gives a wider right than was asked for.")


def _decoded(body: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, RecursionError):
        # From None: the error may quote what was answered, and a token is an answer.
        raise SnapshotError("host_unavailable", "The host answered what nobody understands.") from None


def _quoted(name: str) -> str:
    return quote(name, safe="/")


def _part(claims: Mapping[str, object]) -> str:
    return _url64(json.dumps(claims, separators=(",", ":")).encode())


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
