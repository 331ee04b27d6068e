"""`glovebox audit` from arguments to files, screen and exit code, with an engine that needs no network."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from glovebox.cli import audit, exit_codes, main
from glovebox.cli.journal import Journal
from glovebox.siteaudit.record import CertificateReport, Shodan, SiteRecord, from_json
from glovebox.siteaudit.settings import AuditSettings
from tests.records import failed_record, good_record

Streams = pytest.CaptureFixture[str]


@dataclass
class FakeEngine:
    """Gives each host the record that is laid down for it, else a good one; remembers what it was asked."""

    records: dict[str, SiteRecord] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    settings: AuditSettings | None = None
    stop_after: int | None = None

    async def __call__(
        self, hosts: Sequence[str], *, scan_date: str, settings: AuditSettings
    ) -> AsyncIterator[SiteRecord]:
        self.settings = settings
        # Sites finish in another order than that of the list.
        for number, host in enumerate(reversed(hosts)):
            if number == self.stop_after:
                raise ConnectionAbortedError("the machine went away")
            self.asked.append(host)
            await asyncio.sleep(0)
            yield replace(self.records.get(host, good_record(host)), scan_date=scan_date)


def glovebox(engine: FakeEngine, *arguments: object) -> int:
    args = main.build_parser().parse_args(["audit", *map(str, arguments)])
    return audit.run(args, engine)


def lines_of(path: Path) -> list[SiteRecord]:
    return [from_json(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_files_hold_every_host_in_the_lists_order(engine: FakeEngine, folder: Path) -> None:
    engine.records["b.example.com"] = failed_record("b.example.com", "nxdomain")
    assert glovebox(engine, "a.example.com", "b.example.com", "c.example.com", "-o", folder) == exit_codes.OK
    records = lines_of(folder / "output.jsonl")
    assert [record.fqdn for record in records] == ["a.example.com", "b.example.com", "c.example.com"]
    full = json.loads((folder / "full_output.json").read_bytes())
    assert full["run"]["counts"] == {"ok": 2, "nxdomain": 1}
    assert full["run"]["partial"] is False
    (archive,) = folder.glob("scan_*.zip")
    assert zipfile.ZipFile(archive).namelist() == ["output.csv", "output.jsonl", "full_output.json"]
    assert {path.name for path in folder.iterdir()} == {
        *("run.json", "output.csv", "output.jsonl", "full_output.json", archive.name)
    }


def test_the_default_folder_bears_the_date_of_the_run(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert glovebox(engine, "a.example.com") == exit_codes.OK
    (folder,) = tmp_path.iterdir()
    (record,) = lines_of(folder / "output.jsonl")
    assert folder.name == f"glovebox-{record.scan_date.replace(':', '')}"


def test_json_gives_one_record_a_line_and_nothing_else(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Streams
) -> None:
    monkeypatch.chdir(tmp_path)
    assert glovebox(engine, "a.example.com", "https://b.example.com/x", "--json") == exit_codes.OK
    out, err = capfd.readouterr()
    assert [json.loads(line)["FQDN"] for line in out.splitlines()] == ["b.example.com", "a.example.com"]
    assert "Outcome" in err
    assert list(tmp_path.iterdir()) == []


def test_json_with_a_folder_gives_both(engine: FakeEngine, folder: Path, capfd: Streams) -> None:
    glovebox(engine, "a.example.com", "--json", "-o", folder)
    assert from_json(capfd.readouterr().out).fqdn == "a.example.com"
    assert (folder / "output.csv").exists()


def test_lines_that_are_no_names_are_said_and_kept_with_the_run(
    engine: FakeEngine, folder: Path, tmp_path: Path, capfd: Streams
) -> None:
    hosts = tmp_path / "hosts.txt"
    hosts.write_bytes(b"a.example.com\nlocalhost\nhttps://b.example.com/\x1b]0;x\n")
    assert glovebox(engine, "--hosts", hosts, "-o", folder) == exit_codes.OK
    err = capfd.readouterr().err
    assert "line 2 not used: localhost: no public name" in err
    assert "\x1b" not in err
    run = json.loads((folder / "full_output.json").read_bytes())["run"]
    assert [note["line"] for note in run["rejectedLines"]] == [2, 3]


def test_a_list_comes_from_standard_input_too(
    engine: FakeEngine, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts.txt"
    hosts.write_text("a.example.com\n")
    with hosts.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        glovebox(engine, "--hosts", "-", "-o", folder)
    assert engine.asked == ["a.example.com"]


def test_options_reach_the_engine(engine: FakeEngine, folder: Path, tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_text("-----BEGIN CERTIFICATE-----")
    options = (
        *("--concurrency", 7, "--resolver", "127.0.0.1:5353", "--http-port", 8080, "--https-port", 8443),
        *("--allow-network", "127.0.0.0/8", "--allow-network", "::1/128", "--roots", roots),
    )
    glovebox(engine, "good.fleet.test", "-o", folder, *options)
    assert engine.asked == ["good.fleet.test"]
    assert engine.settings == AuditSettings(
        concurrency=7,
        resolver="127.0.0.1:5353",
        http_port=8080,
        https_port=8443,
        allowed_networks=["127.0.0.0/8", "::1/128"],
        extra_roots="-----BEGIN CERTIFICATE-----",
    )


@pytest.mark.parametrize("failure", ["internal_error", "proxy_error"])
def test_an_error_of_ours_is_named_and_fails_the_command(
    engine: FakeEngine, folder: Path, capfd: Streams, failure: str
) -> None:
    engine.records["b.example.com"] = failed_record("b.example.com", failure)
    assert glovebox(engine, "a.example.com", "b.example.com", "-o", folder) == exit_codes.FAILED
    assert "Something of ours failed at 1 sites (b.example.com)" in capfd.readouterr().err


def test_the_summary_counts_outcomes_profiles_grades_and_certificates(
    engine: FakeEngine, folder: Path, capfd: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    soon = good_record("soon.example.com", certificate=CertificateReport(valid=True, days_left=3))
    late = good_record("late.example.com", certificate=CertificateReport(valid=True, days_left=31))
    gone = failed_record("gone.example.com", "nxdomain")
    engine.records = {record.fqdn: record for record in (soon, late, gone)}
    glovebox(engine, "soon.example.com", "late.example.com", "gone.example.com", "-o", folder)
    words = capfd.readouterr().out.split()
    text = " ".join(words)
    assert "1 nxdomain absent Remove the name from the list" in text
    assert "2 ok" in text
    assert "2 intermediate" in text
    assert "2 C+" in text
    assert "Valid certificates with 30 days or less: 1 days left site 3 soon.example.com" in text
    assert "late.example.com" not in text


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "nothing to audit"),
        (("a.example.com", "--hosts", "x"), "named twice"),
        (("--hosts", "does-not-exist.txt"), "does-not-exist.txt cannot be read (No such file or directory)"),
        (("localhost",), "No line of the host list can be used"),
        (("--resume", "a.example.com"), "--resume needs the folder"),
        (("--resume", "-o", "nothing-here"), "holds no audit"),
        (("a.example.com", "--concurrency", "0"), "out of its range"),
        (("a.example.com", "--https-port", "70000"), "out of its range"),
        (("a.example.com", "--shodan-key-file", "no-key"), "no-key cannot be read"),
        (("a.example.com", "-o", "/proc/none/x"), "cannot be made"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Streams
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["audit", *arguments]) == exit_codes.BAD_INPUT
    out, err = capfd.readouterr()
    assert out == ""
    assert reason in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("glovebox: ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_an_audit_is_not_overwritten(engine: FakeEngine, folder: Path) -> None:
    glovebox(engine, "a.example.com", "-o", folder)
    before = (folder / "output.jsonl").read_bytes()
    assert main.main(["audit", "b.example.com", "-o", str(folder)]) == exit_codes.BAD_INPUT
    assert (folder / "output.jsonl").read_bytes() == before


# ------------------------------------------------------------------ resume


def interrupted_audit(folder: Path, *hosts: str, after: int) -> None:
    """An audit whose process died after some sites: the journal is all that there is."""
    with pytest.raises(ConnectionAbortedError):
        glovebox(FakeEngine(stop_after=after), *hosts, "-o", folder)


def test_resume_audits_what_has_no_record_under_the_same_date(engine: FakeEngine, folder: Path) -> None:
    interrupted_audit(folder, "a.example.com", "b.example.com", "c.example.com", after=2)
    date = lines_of(folder / "output.jsonl")[0].scan_date
    assert glovebox(engine, "--resume", "-o", folder) == exit_codes.OK
    assert engine.asked == ["a.example.com"]
    records = lines_of(folder / "output.jsonl")
    assert [record.fqdn for record in records] == ["a.example.com", "b.example.com", "c.example.com"]
    assert {record.scan_date for record in records} == {date}


@pytest.mark.parametrize("torn", [b'{"FQDN":"c.exam', b"\xff\x00", b"{}"])
def test_resume_drops_a_last_line_that_was_not_finished(
    engine: FakeEngine, folder: Path, torn: bytes
) -> None:
    interrupted_audit(folder, "a.example.com", "b.example.com", after=1)
    with (folder / "output.jsonl").open("ab") as file:
        file.write(torn)
    assert glovebox(engine, "--resume", "-o", folder) == exit_codes.OK
    assert engine.asked == ["a.example.com"]
    assert [record.fqdn for record in lines_of(folder / "output.jsonl")] == ["a.example.com", "b.example.com"]


def test_resume_names_lines_that_are_no_records_and_audits_their_sites_again(
    engine: FakeEngine, folder: Path, capfd: Streams
) -> None:
    interrupted_audit(folder, "a.example.com", "b.example.com", "c.example.com", after=2)
    journal = folder / "output.jsonl"
    first, second = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(first[:-10] + b"\n" + second)
    assert glovebox(engine, "--resume", "-o", folder) == exit_codes.OK
    assert "output.jsonl, line 1: no record of this run" in capfd.readouterr().err
    assert sorted(engine.asked) == ["a.example.com", "c.example.com"]
    assert len(lines_of(journal)) == 3


def test_resume_of_a_finished_audit_audits_nothing(engine: FakeEngine, folder: Path) -> None:
    glovebox(FakeEngine(), "a.example.com", "-o", folder)
    before = (folder / "output.csv").read_bytes()
    assert glovebox(engine, "a.example.com", "--resume", "-o", folder) == exit_codes.OK
    assert (engine.asked, (folder / "output.csv").read_bytes()) == ([], before)


def test_resume_with_another_list_is_refused(folder: Path, capfd: Streams) -> None:
    glovebox(FakeEngine(), "a.example.com", "-o", folder)
    assert main.main(["audit", "b.example.com", "--resume", "-o", str(folder)]) == exit_codes.BAD_INPUT
    assert "another list of hosts" in capfd.readouterr().err


def test_a_second_audit_of_the_same_folder_is_kept_out(folder: Path, capfd: Streams) -> None:
    glovebox(FakeEngine(), "a.example.com", "-o", folder)
    with Journal.resume(folder):
        assert main.main(["audit", "--resume", "-o", str(folder)]) == exit_codes.BAD_INPUT
    assert "Another audit writes to" in capfd.readouterr().err


# ------------------------------------------------------------------ Ctrl-C

SLOW_AUDIT = textwrap.dedent(
    """
    import asyncio, sys
    from glovebox.cli import audit, main
    from tests.records import good_record

    async def engine(hosts, *, scan_date, settings):
        try:
            for host in hosts[:2]:
                yield good_record(host, scan_date=scan_date)
            print("two are done", flush=True)
            await asyncio.sleep(600)
        finally:
            print("the engine was closed", flush=True)

    args = main.build_parser().parse_args(sys.argv[1:])
    sys.exit(audit.run(args, engine))
    """
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(folder: Path, number: signal.Signals) -> None:
    names = ["a.example.com", "b.example.com", "c.example.com"]
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_AUDIT, "audit", *names, "-o", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": root},
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "two are done\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == exit_codes.INTERRUPTED
    assert "the engine was closed" in out
    assert "Interrupted: 1 of 3 sites have no record." in err
    assert f"glovebox audit --resume -o {folder}" in err
    full = json.loads((folder / "full_output.json").read_bytes())
    assert (full["run"]["partial"], full["run"]["missing"]) == (True, ["c.example.com"])
    assert len(lines_of(folder / "output.jsonl")) == 2


# ------------------------------------------------------------------ Shodan beside the audit


@dataclass
class FakeShodan:
    """Knows every address but those that it does not."""

    unknown: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)

    def host(self, address: str) -> Shodan | None:
        self.asked.append(address)
        return None if address in self.unknown else Shodan(status="found", ip_str=address, isp="An ISP")


@pytest.fixture
def shodan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeShodan:
    """In place of the client that the key file would make."""
    fake = FakeShodan()
    monkeypatch.setattr("glovebox.adapters.shodan.ShodanClient", lambda _key: fake)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "key").write_text("abc")
    (tmp_path / "key").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return fake


def test_answers_of_shodan_are_in_the_files_and_each_address_is_asked_once(
    engine: FakeEngine, shodan: FakeShodan, folder: Path
) -> None:
    for host in ("a.example.com", "b.example.com"):
        engine.records[host] = good_record(host, ip="8.8.8.8")
    engine.records["gone.example.com"] = failed_record("gone.example.com", "nxdomain")
    hosts = ("a.example.com", "b.example.com", "gone.example.com")
    assert glovebox(engine, *hosts, "-o", folder, "--shodan-key-file", "key") == exit_codes.OK
    first, second, gone = lines_of(folder / "output.jsonl")
    assert first.shodan is not None
    assert (first.shodan.isp, second.shodan, gone.shodan) == ("An ISP", first.shodan, None)
    assert shodan.asked == ["8.8.8.8"]


def test_json_lines_wait_for_shodan(engine: FakeEngine, shodan: FakeShodan, capfd: Streams) -> None:
    shodan.unknown = frozenset({"9.9.9.9"})
    engine.records["a.example.com"] = good_record("a.example.com", ip="8.8.8.8")
    engine.records["b.example.com"] = good_record("b.example.com", ip="9.9.9.9")
    engine.records["c.example.com"] = failed_record("c.example.com", "nxdomain")
    hosts = ("a.example.com", "b.example.com", "c.example.com")
    assert glovebox(engine, *hosts, "--json", "--shodan-key-file", "key") == exit_codes.OK
    records = {record.fqdn: record for record in map(from_json, capfd.readouterr().out.splitlines())}
    statuses = {name: record.shodan.status if record.shodan else None for name, record in records.items()}
    assert statuses == {"a.example.com": "found", "b.example.com": "unknown_address", "c.example.com": None}


def test_resume_looks_up_what_was_left_pending(engine: FakeEngine, shodan: FakeShodan, folder: Path) -> None:
    pending = Shodan(status="pending", reason="The look-up was not finished.")
    first = FakeEngine({"a.example.com": good_record("a.example.com", ip="8.8.8.8", shodan=pending)})
    glovebox(first, "a.example.com", "-o", folder)
    glovebox(engine, "--resume", "-o", folder, "--shodan-key-file", "key")
    (record,) = lines_of(folder / "output.jsonl")
    assert (engine.asked, shodan.asked) == ([], ["8.8.8.8"])
    assert record.shodan is not None
    assert record.shodan.status == "found"
