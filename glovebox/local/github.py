"""A look-alike of GitHub's interface for Apps, on loopback: as strict about tokens as the real one.

    app = AppKey.made("1")                       # an App's id and key, as GitHub would have made them
    host = LookAlike(app, {"acme/shop": HostedRepository(number=7, files=Path("…"))})
    with host.serving() as api:                  # `http://127.0.0.1:40123`, for GITHUB_API
        …                                        # secret: {"appId": app.id, "privateKey": app.private_key, …}

The App's JWT is checked (RS256, its issuer, at most ten minutes), installation tokens reach the repositories
and permissions that they were narrowed to, for an hour, and an archive lies behind an address that works once
and takes no token.  `host.faults` makes it misbehave.  Every request is in `host.requests`.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, Final
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from glovebox.local.github_trees import HostedRepository

__all__ = ["AppKey", "Faults", "HostedRepository", "LookAlike"]

INSTALLATION: Final = 4_711
TOKEN_SECONDS: Final = 3_600
_JWT_SECONDS: Final = 600
_CHUNK: Final = 256 << 10
_PERMISSIONS: Final = {"contents": "read", "metadata": "read"}


@dataclass(frozen=True, slots=True)
class AppKey:
    id: str
    private_key: str = field(repr=False)
    """PEM, PKCS#1, as GitHub makes them."""
    public: rsa.RSAPublicKey

    @classmethod
    def made(cls, id: str = "1") -> AppKey:  # noqa: A002 (what GitHub calls it)
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        return cls(id, pem.decode(), key.public_key())


@dataclass(slots=True)
class Faults:
    """What goes wrong from now on; counts go down with each request that they hit."""

    rate_limited: int = 0
    retry_after: str = "0"
    """What a limited answer says; empty: it says when the hour is over."""
    unavailable: int = 0
    cut_connections: int = 0
    truncated: bool = False
    """Archives end in the middle, by what HTTP says, too."""
    wrong_commit: bool = False
    truncated_trees: bool = False
    suspended: bool = False
    wider_tokens: bool = False
    """Tokens may do more than was asked for."""
    renamed: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    empty: set[str] = field(default_factory=set)
    statuses: dict[str, int] = field(default_factory=dict)
    """What requests are answered whose path begins so."""
    archives: dict[str, bytes] = field(default_factory=dict)
    """What is sent in the place of a repository's archive."""
    archives_at: str = ""
    """Where archives are said to be."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: object = None
    """JSON, or bytes or a file as they are."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Token:
    numbers: frozenset[int] | None
    """None: all of the installation."""
    permissions: Mapping[str, str]
    expires: float


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    authorization: str = field(repr=False)
    body: bytes = b""


class LookAlike:
    def __init__(
        self, app: AppKey, repositories: Mapping[str, HostedRepository], *, prefix: str = ""
    ) -> None:
        """`repositories`: `owner/name` → what is there; `prefix`: `/api/v3` of an Enterprise server."""
        self.app = app
        self.repositories = dict(repositories)
        self.faults = Faults()
        self.requests: list[Request] = []
        self.tokens: dict[str, _Token] = {}
        self._prefix = prefix
        self._downloads: dict[str, str] = {}
        self._lock = threading.Lock()
        self._base = ""

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[str]:
        """Serve on loopback until the block ends; the address of the interface."""
        server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self._base = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self._base + self._prefix
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    # ------------------------------------------------------------ one request

    def answer(self, request: Request) -> Answer | None:
        """None: the connection is cut."""
        with self._lock:
            self.requests.append(request)
            fault = self._fault(request.path)
        if fault is not None:
            return fault if fault.status else None
        url = urlsplit(request.path)
        if url.path.startswith("/codeload/"):
            return self._download(request, url.path.removeprefix("/codeload/"))
        if not url.path.startswith(self._prefix + "/"):
            return Answer(404, {"message": "Not Found"})
        parts = [unquote(part) for part in url.path.removeprefix(self._prefix + "/").split("/")]
        return self._api(request, parts, parse_qs(url.query))

    def _fault(self, path: str) -> Answer | None:
        faults = self.faults
        for begin, status in faults.statuses.items():
            if path.removeprefix(self._prefix).startswith(begin):
                return Answer(status, {"message": "As told"})
        if faults.cut_connections:
            faults.cut_connections -= 1
            return Answer(0)
        if faults.unavailable:
            faults.unavailable -= 1
            return Answer(502, {"message": "Server Error"})
        if faults.rate_limited:
            faults.rate_limited -= 1
            said = {"retry-after": faults.retry_after} if faults.retry_after else {}
            limits = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 3_000)}
            return Answer(403, {"message": "API rate limit exceeded"}, {**limits, **said})
        return None

    def _api(self, request: Request, parts: list[str], query: Mapping[str, list[str]]) -> Answer:
        match request.method, parts:
            case "GET", ["app", "installations"]:
                return self._as_app(request) or Answer(200, _page([self._installation()], query))
            case "GET", ["repos", owner, name, "installation"]:
                missing = None if self._found(f"{owner}/{name}") else Answer(404, {"message": "Not Found"})
                return self._as_app(request) or missing or Answer(200, self._installation())
            case "POST", ["app", "installations", number, "access_tokens"]:
                return self._as_app(request) or self._new_token(number, request.body)
            case "DELETE", ["installation", "token"]:
                self.tokens.pop(request.authorization.removeprefix("Bearer "), None)
                return Answer(204)
            case "GET", ["installation", "repositories"]:
                return self._installed(request, query)
            case "GET", ["repos", owner, name, *rest]:
                return self._repository(request, f"{owner}/{name}", rest)
            case "GET", ["repositories", number]:
                return self._by_number(request, number)
        return Answer(404, {"message": "Not Found"})

    # ------------------------------------------------------------ who asks

    def _as_app(self, request: Request) -> Answer | None:
        """Why not, if not."""
        try:
            _require_jwt(request.authorization.removeprefix("Bearer "), self.app)
        except (ValueError, InvalidSignature, binascii.Error):
            return Answer(401, {"message": "A JSON web token could not be decoded"})
        return None

    def _token(self, request: Request) -> _Token | None:
        token = self.tokens.get(request.authorization.removeprefix("Bearer "))
        return token if token is not None and token.expires > time.time() else None

    def _new_token(self, installation: str, body: bytes) -> Answer:
        if self.faults.suspended:
            return Answer(403, {"message": "This installation has been suspended"})
        if installation != str(INSTALLATION):
            return Answer(404, {"message": "Not Found"})
        asked = json.loads(body or b"{}")
        numbers = asked.get("repository_ids")
        if names := asked.get("repositories"):
            numbers = [each.number for name, each in self._present() if name.partition("/")[2] in names]
        here = {each.number for _, each in self._present()}
        if numbers is not None and not (numbers and set(numbers) <= here):
            return Answer(422, {"message": "There is at least one repository that does not exist"})
        permissions = asked.get("permissions", {**_PERMISSIONS, "issues": "write"})
        if self.faults.wider_tokens:
            permissions, numbers = {**permissions, "contents": "write"}, None
        value = f"ghs_{secrets.token_urlsafe(27)}"
        self.tokens[value] = _Token(
            frozenset(numbers) if numbers is not None else None, permissions, time.time() + TOKEN_SECONDS
        )
        told: dict[str, object] = {"token": value, "expires_at": "", "permissions": permissions}
        if numbers is not None:
            told["repositories"] = [
                self._told(name) for name, each in self._present() if each.number in numbers
            ]
        return Answer(201, {**told, "repository_selection": "all" if numbers is None else "selected"})

    # ------------------------------------------------------------ what there is

    def _present(self) -> Iterator[tuple[str, HostedRepository]]:
        """By their names of today."""
        for name, each in self.repositories.items():
            if name not in self.faults.gone:
                yield self.faults.renamed.get(name, name), each

    def _found(self, name: str) -> HostedRepository | None:
        return next((each for known, each in self._present() if known.lower() == name.lower()), None)

    def _installation(self) -> dict[str, object]:
        suspended = "2026-01-01T00:00:00Z" if self.faults.suspended else None
        return {"id": INSTALLATION, "app_id": int(self.app.id), "suspended_at": suspended}

    def _told(self, name: str) -> dict[str, object]:
        each = self._found(name)
        assert each is not None  # noqa: S101 (whoever asks has just found it)
        return {
            "id": each.number,
            "full_name": name,
            "private": each.private,
            "archived": each.archived,
            "default_branch": each.default_branch,
            "topics": list(each.topics),
        }

    def _installed(self, request: Request, query: Mapping[str, list[str]]) -> Answer:
        token = self._token(request)
        if token is None:
            return Answer(401, {"message": "Bad credentials"})
        seen = [
            self._told(name)
            for name, each in self._present()
            if token.numbers is None or each.number in token.numbers
        ]
        return Answer(200, {"total_count": len(seen), "repositories": _page(seen, query)})

    def _by_number(self, request: Request, number: str) -> Answer:
        found = next((name for name, each in self._present() if str(each.number) == number), None)
        if self._token(request) is None or found is None:
            return Answer(404, {"message": "Not Found"})
        return Answer(200, self._told(found))

    def _repository(self, request: Request, name: str, rest: list[str]) -> Answer:
        token = self._token(request)
        if token is None:
            return Answer(401, {"message": "Bad credentials"})
        former = self.faults.renamed.get(name)
        if former is not None:
            number = self.repositories[name].number
            location = f"{self._base}{self._prefix}/repositories/{number}"
            return Answer(301, {"message": "Moved Permanently"}, {"Location": location})
        each = self._found(name)
        if each is None or (token.numbers is not None and each.number not in token.numbers):
            return Answer(404, {"message": "Not Found"})
        if rest and "contents" not in token.permissions:
            return Answer(403, {"message": "Resource not accessible by integration"})
        match rest:
            case []:
                return Answer(200, self._told(name))
            case ["commits", *ref]:
                return self._commit(name, each, "/".join(ref))
            case ["git", "trees", commit]:
                return self._tree(each, commit)
            case ["tarball", commit]:
                return self._archive_address(name, commit)
            case ["contents", *path]:
                leaf = each.tree().get("/".join(path))
                return Answer(200, leaf.data) if leaf else Answer(404, {"message": "Not Found"})
        return Answer(404, {"message": "Not Found"})

    def _commit(self, name: str, each: HostedRepository, ref: str) -> Answer:
        if name in self.faults.empty:
            return Answer(409, {"message": "Git Repository is empty."})
        commit = each.commit()
        if ref in {"HEAD", each.default_branch, commit, *each.branches}:
            return Answer(200, commit.encode())
        return Answer(422, {"message": f"No commit found for SHA: {ref}"})

    def _tree(self, each: HostedRepository, commit: str) -> Answer:
        if commit != each.commit():
            return Answer(404, {"message": "Not Found"})
        entries: list[dict[str, object]] = []
        folders: set[str] = set()
        for path, leaf in each.tree().items():
            parts = path.split("/")
            for folder in ("/".join(parts[:depth]) for depth in range(1, len(parts))):
                if folder not in folders:
                    folders.add(folder)
                    entries.append({"path": folder, "mode": "040000", "type": "tree", "sha": commit})
            shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            entry: dict[str, object] = {"path": shown, "mode": leaf.mode}
            if leaf.mode == "160000":
                entries.append({**entry, "type": "commit", "sha": leaf.data.decode()})
            else:
                name, size = leaf.blob
                entries.append({**entry, "type": "blob", "sha": name, "size": size})
        if self.faults.truncated_trees:
            entries = entries[: len(entries) // 2]
        return Answer(200, {"sha": commit, "tree": entries, "truncated": self.faults.truncated_trees})

    # ------------------------------------------------------------ archives

    def _archive_address(self, name: str, commit: str) -> Answer:
        each = self._found(name)
        if each is None or commit != each.commit():
            return Answer(404, {"message": "Not Found"})
        once = secrets.token_urlsafe(24)
        self._downloads[once] = name
        location = self.faults.archives_at or f"{self._base}/codeload/{once}"
        return Answer(302, None, {"Location": location})

    def _download(self, request: Request, once: str) -> Answer:
        name = self._downloads.pop(once, "")
        each = self._found(name)
        if each is None or request.authorization:
            return Answer(404, {"message": "Not Found"})
        if name in self.faults.archives:
            return Answer(200, self.faults.archives[name])
        commit = each.commit()
        top = f"{name.replace('/', '-')}-{commit[:7]}"
        return Answer(200, each.archive(top, "0" * 40 if self.faults.wrong_commit else commit))


def _handler(host: LookAlike) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            answer = host.answer(
                Request(self.command, self.path, self.headers.get("authorization", ""), body)
            )
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if isinstance(answer.body, bytes):
                self._whole(answer.body)
            elif answer.body is None or isinstance(answer.body, dict | list):
                self._whole(b"" if answer.body is None else json.dumps(answer.body).encode())
            else:
                self._stream(answer.body)  # type: ignore[arg-type]  # a file is all that is left

        def _whole(self, body: bytes) -> None:
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, body: IO[bytes]) -> None:
            """In chunks, since GitHub does not say how long an archive is."""
            self.send_header("content-type", "application/x-gzip")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            with body:
                while piece := body.read(_CHUNK):
                    if host.faults.truncated:
                        piece = piece[: len(piece) // 2]
                    self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    if host.faults.truncated:
                        self.close_connection = True
                        return
            self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 (what http.server looks for)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's own)
            """Addresses are capabilities."""

    return Handler


def _page(items: list[dict[str, object]], query: Mapping[str, list[str]]) -> list[dict[str, object]]:
    size, page = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
    return items[(page - 1) * size : page * size]


def _require_jwt(token: str, app: AppKey) -> None:
    """Raises ValueError, binascii.Error or InvalidSignature."""
    head, claims, signature = token.split(".")
    app.public.verify(_unpadded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    said = json.loads(_unpadded(claims))
    now = time.time()
    if json.loads(_unpadded(head)).get("alg") != "RS256" or str(said.get("iss")) != app.id:
        raise ValueError("not of this App")
    if not (said["iat"] <= now < said["exp"] <= now + _JWT_SECONDS):
        raise ValueError("not now")


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
