"""The `shodan` library behind our port, against a real HTTP server with recorded-style answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socket import create_server

import pytest

from glovebox.adapters.shodan import FileShodanCache, ShodanClient, read_key_file
from glovebox.errors import ConfigurationError
from glovebox.siteaudit.record import Shodan
from glovebox.sites.shodan import ShodanError, ShodanFailure

KEY = "0123456789abcdefABCDEF0123456789"
FOUND = {
    "ip": 134744072,
    "ip_str": "8.8.8.8",
    "asn": "AS15169",
    "country_code": "US",
    "country_name": "United States",
    "isp": "An ISP",
    "org": "An organisation",
    "os": None,
    "ports": [443, 53],
    "hostnames": ["dns.example.com"],
    "vulns": ["CVE-2024-0001"],
    "last_update": "2026-03-01T01:02:03.000004",
    "tags": [],
}


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    delay: float = 0.0
    declared: int | None = None


@contextmanager
def shodan_server(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that gives one answer to everything: `(base_url, paths asked for)`."""
    paths: list[str] = []
    leave = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(answer.declared or len(answer.body)))
            self.end_headers()
            self.wfile.flush()
            leave.wait(answer.delay)
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", paths
    finally:
        leave.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def ask(answer: Answer, *, read_timeout: float = 5.0) -> Shodan | None:
    with shodan_server(answer) as (url, _):
        return ShodanClient(KEY, base_url=url, timeout=(5.0, read_timeout)).host("8.8.8.8")


def failure_of(answer: Answer, *, read_timeout: float = 5.0) -> ShodanError:
    with pytest.raises(ShodanError) as caught:
        ask(answer, read_timeout=read_timeout)
    assert KEY not in str(caught.value)
    return caught.value


def test_a_known_address_becomes_our_words() -> None:
    with shodan_server(Answer(body=json.dumps(FOUND).encode())) as (url, paths):
        answer = ShodanClient(KEY, base_url=url).host("8.8.8.8")
    assert answer == Shodan(
        status="found",
        ip_str="8.8.8.8",
        asn="AS15169",
        asn_country_code="US",
        isp="An ISP",
        org="An organisation",
        ports=[443, 53],
        hostnames=["dns.example.com"],
        vulns=["CVE-2024-0001"],
        last_update="2026-03-01T01:02:03.000004",
    )
    assert paths == [f"/shodan/host/8.8.8.8?minify=True&key={KEY}"]


def test_an_unknown_address_is_no_failure() -> None:
    body = b'{"error": "No information available for that IP."}'
    assert ask(Answer(404, body)) is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(401, b'{"error": "Invalid API key"}'), ShodanFailure.BAD_KEY),
        (Answer(401, b"<html>401</html>", {"Content-Type": "text/html"}), ShodanFailure.BAD_KEY),
        (Answer(403, b'{"error": "Requires membership or higher to access"}'), ShodanFailure.FORBIDDEN),
        (Answer(429, b'{"error": "Request rate limit reached (1/ second)"}'), ShodanFailure.RATE_LIMITED),
        (Answer(500, b'{"error": "x"}'), ShodanFailure.SERVER_ERROR),
        (Answer(502, b"<html>"), ShodanFailure.SERVER_ERROR),
        (Answer(503, b"{}"), ShodanFailure.SERVER_ERROR),
        (
            Answer(404, b"<html>a proxy's page</html>", {"Content-Type": "text/html"}),
            ShodanFailure.BAD_ANSWER,
        ),
        (Answer(200, b"not JSON"), ShodanFailure.BAD_ANSWER),
        (Answer(200, b"[1, 2]"), ShodanFailure.BAD_ANSWER),
        (Answer(200, b"{}"), ShodanFailure.BAD_ANSWER),
        (Answer(200, b'{"ip_str": "8.8.8.8", "ports": "many"}'), ShodanFailure.BAD_ANSWER),
        (Answer(200, b'{"ip_str": "8.8.8.8", "ports": ["443"]}'), ShodanFailure.BAD_ANSWER),
        (Answer(200, b'{"error": "strange"}'), ShodanFailure.BAD_ANSWER),
        (Answer(302, b"", {"Location": "http://127.0.0.1:9/"}), ShodanFailure.BAD_ANSWER),
    ],
)
def test_each_failure_has_its_kind(answer: Answer, kind: ShodanFailure) -> None:
    assert failure_of(answer).kind is kind


def test_the_wait_that_the_server_asks_for_is_read() -> None:
    answer = Answer(429, b"{}", {"Content-Type": "application/json", "Retry-After": "7"})
    assert failure_of(answer).retry_after == 7.0


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_server_that_says_nothing_more_is_a_timeout(body: bytes) -> None:
    answer = Answer(200, body, delay=30.0, declared=100)
    assert failure_of(answer, read_timeout=0.2).kind is ShodanFailure.TIMEOUT


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one() -> None:
    assert failure_of(Answer(200, b'{"ip_str": "8.8', declared=1_000)).kind is ShodanFailure.UNREACHABLE


def test_a_closed_port_is_unreachable() -> None:
    with closing(create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(ShodanError) as caught:
        ShodanClient(KEY, base_url=f"http://127.0.0.1:{port}").host("8.8.8.8")
    assert caught.value.kind is ShodanFailure.UNREACHABLE
    assert KEY not in str(caught.value)


def test_longer_texts_than_a_record_holds_are_cut() -> None:
    body = json.dumps(
        {**FOUND, "isp": "x" * 9_999, "hostnames": ["h" * 999] * 999, "vulns": {"CVE-1": {}}}
    ).encode()
    answer = ask(Answer(body=body))
    assert answer is not None
    assert (len(answer.isp or ""), len(answer.hostnames), len(answer.hostnames[0])) == (2_048, 200, 256)
    assert answer.vulns == ["CVE-1"]


def test_the_library_neither_sleeps_nor_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHODAN_API_URL", "http://127.0.0.1:9")
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with shodan_server(Answer(body=json.dumps(FOUND).encode())) as (url, paths):
        client = ShodanClient(KEY, base_url=url)
        assert [client.host("8.8.8.8"), client.host("9.9.9.9")].count(None) == 0
    assert (len(paths), slept) == (2, [])


def test_without_a_key_there_is_no_client() -> None:
    with pytest.raises(ShodanError) as caught:
        ShodanClient("")
    assert caught.value.kind is ShodanFailure.NO_KEY


def test_the_cache_gives_back_what_was_put(tmp_path: Path) -> None:
    cache = FileShodanCache(tmp_path / "cache")
    answer = Shodan(status="found", ip_str="2001:db8::1", ports=[443])
    assert cache.get("2001:db8::1") is None
    cache.put("2001:db8::1", answer)
    assert FileShodanCache(tmp_path / "cache").get("2001:0DB8::1") == answer


@pytest.mark.parametrize("content", [b"", b'{"status": "fou', b'{"status": "strange"}', b"\xff"])
def test_a_torn_file_of_the_cache_counts_as_absent(tmp_path: Path, content: bytes) -> None:
    cache = FileShodanCache(tmp_path)
    cache.put("8.8.8.8", Shodan(status="found"))
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert cache.get("8.8.8.8") is None


def test_a_private_key_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    assert read_key_file(path) == KEY


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (KEY, 0o644, "Other users may read"),
        ("", 0o600, "holds no Shodan key"),
        ("two words", 0o600, "holds no Shodan key"),
        ("clé", 0o600, "holds no Shodan key"),
        ("x" * 2_000, 0o600, "holds no Shodan key"),
    ],
)
def test_a_key_file_that_cannot_be_right_is_refused(
    tmp_path: Path, content: str, mode: int, reason: str
) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=reason):
        read_key_file(path)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_key_file(tmp_path / "none")
