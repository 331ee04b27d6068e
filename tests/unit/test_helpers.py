"""Squid's helpers as Squid meets them: processes that answer lines, alone with what their image ships."""

from __future__ import annotations

import io
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.closure import closure, stage
from squid.helpers.channel import MAX_LINE, Answer, serve
from squid.helpers.judge_request import main as judge_main
from squid.helpers.verify_ticket import main as verify_main
from squid.helpers.verify_ticket import verifier
from tests.tickets import (
    ACCOUNT_TICKET,
    KEYS,
    NOW,
    OTHER_SIGNER,
    SCAN,
    SIGNER,
    SITE_TICKET,
    account_claims,
    authorization,
    question,
    site_claims,
)

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30
"""Seconds that a helper may take to start on a busy machine."""
THIRD_PARTY = ("cryptography", "msgspec")
MAY_IMPORT = {"cryptography", "msgspec", "_cffi_backend", "_openssl", "glovebox", "squid"}
"""`_cffi_backend` and `_openssl` are what cryptography's compiled part stands on and registers."""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the helpers' closure and their two libraries, and no other package."""
    folder = tmp_path_factory.mktemp("gateway")
    stage(ROOT, closure(ROOT, "squid/helpers"), folder)
    site = Path(sysconfig.get_path("platlib"))
    for name in (*THIRD_PARTY, "cffi"):
        if (site / name).exists():
            (folder / name).symlink_to(site / name)
    for path in site.glob("_cffi_backend*"):
        (folder / path.name).symlink_to(path)
    (folder / "keys.pem").write_bytes(KEYS.pem())
    return folder


def start(shipped: Path, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-S", *command],
        cwd=shipped,
        env={"PYTHONPATH": str(shipped), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def verify(shipped: Path) -> Iterator[subprocess.Popen[bytes]]:
    with start(shipped, "-m", "squid.helpers.verify_ticket", "keys.pem") as process:
        yield process


@pytest.fixture(params=["aws-api", "site"])
def judging(shipped: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with start(shipped, "-m", "squid.helpers.judge_request", request.param) as process:
        yield request.param, process


def ask(process: subprocess.Popen[bytes], line: bytes) -> bytes:
    """One answer before the next question: a helper that kept it in a buffer would hang here."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line)
    process.stdin.flush()
    return process.stdout.readline()


def test_the_verifier_answers_line_by_line_and_ends_with_its_input(
    verify: subprocess.Popen[bytes],
) -> None:
    ticket = SIGNER.sign(account_claims(int(time.time())))
    stranger = OTHER_SIGNER.sign(account_claims(int(time.time())))
    good = f"{ticket.user} {ticket.password}".encode()
    assert ask(verify, b"0 " + good + b"\n") == f"0 OK clt_conn_tag={SCAN}\n".encode()
    for line, word in (
        (b"1 " + f"{stranger.user} {stranger.password}".encode(), b"ticket_unknown_key"),
        (b"2 " + f"{ACCOUNT_TICKET.user} {ACCOUNT_TICKET.password}".encode(), b"ticket_expired"),
        (b"3 " + good[:-1], b"ticket_malformed"),
        (b"4 " + good + b" x", b"ticket_malformed"),
        (b"5 " + good.replace(b"e", b"%65", 1), b"ticket_malformed"),
        (b"6 ", b"ticket_malformed"),
        (b"7", b"ticket_malformed"),
        (b"8 " + good + b"\r", b"ticket_too_long"),
        (b"9 \xff\xfe", b"line_malformed"),
        (b"10 " + b"A" * 16_384 + b" B", b"ticket_too_long"),
        (b"11 " + b"A" * (2 * MAX_LINE), b"line_malformed"),
    ):
        answer = ask(verify, line + b"\n")
        assert answer.startswith(line.split()[0] + b" ERR reason_=" + word + b' message="'), answer
        assert b"clt_conn_tag" not in answer
    assert ask(verify, b"429496729 " + good + b"\n") == f"429496729 OK clt_conn_tag={SCAN}\n".encode()
    out, err = verify.communicate(timeout=PATIENCE)
    assert (verify.returncode, out, err) == (0, b"", b"")


def test_lines_without_a_channel_get_no_answer_and_end_nothing(verify: subprocess.Popen[bytes]) -> None:
    ticket = SIGNER.sign(site_claims(int(time.time())))
    pair = f"{ticket.user} {ticket.password}"
    lines = f"\n{pair}\n-1 {pair}\n 3 {pair}\n99999999999 {pair}\n12 {pair}\n"
    out, err = verify.communicate(lines.encode(), timeout=PATIENCE)
    assert out == f"12 OK clt_conn_tag={SCAN}\n".encode()
    assert err.count(b"without a channel's number") == 5
    assert ticket.user.encode() not in err
    assert verify.returncode == 0


def test_the_judge_answers_for_its_profile_only(judging: tuple[str, subprocess.Popen[bytes]]) -> None:
    profile, process = judging
    now = int(time.time())
    today = time.strftime("%Y%m%d", time.gmtime(now))
    aws = question(
        "https://ec2.us-east-1.amazonaws.com/",
        method="POST",
        user=SIGNER.sign(account_claims(now)).user,
        signature=authorization(day=today),
    )
    site = question(
        "93.184.216.34:443",
        method="CONNECT",
        host="93.184.216.34",
        user=SIGNER.sign(site_claims(now)).user,
        signature="-",
    )
    ours, other = (aws, site) if profile == "aws-api" else (site, aws)
    assert ask(process, f"4 {' '.join(ours)} -\n".encode()) == f"4 OK clt_conn_tag={SCAN}\n".encode()
    assert ask(process, f"5 {' '.join(other)}\n".encode()).startswith(b"5 ERR reason_=wrong_profile ")
    assert ask(process, b"6 nonsense\n").startswith(b"6 ERR reason_=line_malformed ")
    assert ask(process, f"7 {' '.join(ours)}\n".encode()) == f"7 OK clt_conn_tag={SCAN}\n".encode()
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, b"", b"")


@pytest.mark.parametrize("module", ["verify_ticket", "judge_request"])
def test_a_helper_alone_imports_the_standard_library_and_two_packages(shipped: Path, module: str) -> None:
    program = (
        "import sys; before = set(sys.modules)\n"
        f"import squid.helpers.{module}\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    with start(shipped, "-c", program) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert err == b""
    tops = set(out.decode().split())
    assert {"squid", "glovebox", "msgspec"} <= tops
    assert tops - set(sys.stdlib_module_names) <= MAY_IMPORT


def test_the_gateway_ships_no_signer() -> None:
    files = {path.as_posix() for path in closure(ROOT, "squid/helpers")}
    assert "glovebox/tickets/keys.py" in files
    assert "squid/unauthenticated_operations.py" in files
    assert files & {"glovebox/tickets/signer.py", "glovebox/tickets/proxy.py", "squid/render.py"} == set()


def test_a_helper_that_cannot_start_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.pem").write_bytes(b"")
    assert verify_main([]) == 2
    assert verify_main([str(tmp_path / "missing.pem")]) == 2
    assert verify_main([str(tmp_path / "empty.pem")]) == 2
    assert judge_main([]) == 2
    assert judge_main(["root"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("usage:") == 3
    assert "missing.pem" in shown.err
    assert "not 0" in shown.err


@given(st.lists(st.binary(max_size=300).filter(lambda line: b"\n" not in line), max_size=8))
def test_each_numbered_line_gets_one_answer_in_one_line(lines: list[bytes]) -> None:
    numbered = [str(number).encode() + b" " + line for number, line in enumerate(lines)]
    answers = io.BytesIO()
    serve(verifier(KEYS, lambda: NOW), io.BytesIO(b"".join(line + b"\n" for line in numbered)), answers)
    given = answers.getvalue().splitlines()
    assert [answer.split()[:2] for answer in given] == [
        [str(number).encode(), b"ERR"] for number in range(len(lines))
    ]


@pytest.mark.parametrize("excess", range(-2, 4))
def test_a_line_about_as_long_as_the_limit_is_one_line(excess: int) -> None:
    first = b"1 " + b"A" * (MAX_LINE - 2 + excess) + b"\n"
    answers = io.BytesIO()
    serve(lambda fields: Answer(scan="read"), io.BytesIO(first + b"2 x\n"), answers)
    expected = b"1 OK" if excess <= 0 else b"1 ERR"
    assert [line[:5].rstrip() for line in answers.getvalue().splitlines()] == [expected, b"2 OK"]


def test_the_last_line_may_lack_its_end() -> None:
    answers = io.BytesIO()
    pair = f"7 {SITE_TICKET.user} {SITE_TICKET.password}".encode()
    serve(verifier(KEYS, lambda: NOW), io.BytesIO(pair), answers)
    assert answers.getvalue() == f"7 OK clt_conn_tag={SCAN}\n".encode()
