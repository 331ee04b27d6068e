"""The script that runs Prowler, with a stand-in on the path that says how it was called."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from glovebox.registry import shards
from glovebox_constructs.prowler_script import (
    COSTS,
    LOOK_AT_BUCKETS,
    bucket_checks,
    excluded_checks,
    filled,
    prowler_script,
)
from glovebox_constructs.scan_script import scan_source
from tests.conftest import PROWLER

STAND_IN = f"""#!{sys.executable}
import json, os, pathlib, sys, time
told = {{"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}}
out = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
(out / "compliance").mkdir()
print("what nobody is to read")
print("nor this", file=sys.stderr)
(out / "report.ocsf.json").write_text("[]")
here = pathlib.Path(__file__).parent
(here / "told.part").write_text(json.dumps(told))
(here / "told.part").rename(here / "told")
time.sleep(float(os.environ.get("SLEEP", "0")))
sys.exit(int(os.environ.get("END", "0")))
"""
WAIT = 20
ODD = ("*", "a*", "$(id)", "a;b", "-x", "--fixer", "Äx", "a'b", "a/b", "?")


@dataclass(frozen=True)
class Box:
    root: Path

    @property
    def out(self) -> Path:
        return self.root / "out"

    def environment(self, **values: str) -> dict[str, str]:
        """What the scanner's container has, and what the inlet has written."""
        written = {"GLOVEBOX_REGIONS": "eu-west-1", "AWS_REGION": "eu-west-1", **values}
        lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in written.items())
        (self.root / "in/environment").write_text(lines)
        return {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "GLOVEBOX_IN": str(self.root / "in"),
            "GLOVEBOX_OUT": str(self.out),
            "TMPDIR": str(self.root / "scratch"),
        }

    def run(self, **values: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", prowler_script()],
            env=self.environment(**values),
            cwd=self.root / "out",
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )

    def exit(self) -> object:
        return json.loads((self.out / "exit.json").read_bytes())

    def arguments(self) -> list[str]:
        found: list[str] = json.loads((self.root / "bin/told").read_bytes())["arguments"]
        return found

    def named(self, option: str) -> list[str]:
        """What stands behind an option, up to the next one."""
        behind = self.arguments()[self.arguments().index(option) + 1 :]
        ends = [place for place, word in enumerate(behind) if word.startswith("-")]
        return behind[: ends[0]] if ends else behind


@pytest.fixture
def box(tmp_path: Path) -> Box:
    for folder in ("in", "out", "scratch", "bin"):
        (tmp_path / folder).mkdir()
    program = tmp_path / "bin/prowler"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return Box(tmp_path)


def test_prowler_is_called_with_what_the_inlet_laid_down(box: Box) -> None:
    done = box.run(GLOVEBOX_REGIONS="eu-west-1 us-east-1", HTTPS_PROXY="http://ticket@10.43.0.10:3128")
    assert (done.returncode, box.exit()) == (0, {"exit": 0})
    assert box.arguments()[0] == "aws"
    assert box.named("-f") == ["eu-west-1", "us-east-1"]
    assert box.named("-e") == excluded_checks()
    assert box.named("-o") == [str(box.out)]
    assert box.named("--log-file") == [str(box.out / "scanner.log")]
    assert not {"-s", "--excluded-services"} & set(box.arguments())
    told = json.loads((box.root / "bin/told").read_bytes())
    assert told["environment"]["HTTPS_PROXY"] == "http://ticket@10.43.0.10:3128"
    assert told["environment"]["PYTHONHASHSEED"] == "0"
    assert told["environment"]["HOME"] == told["folder"] == str(box.root / "scratch")


def test_nothing_is_muted_but_by_us(box: Box) -> None:
    box.run()
    [muted] = box.named("-w")
    assert Path(muted).read_text() == "Mutelist:\n  Accounts: {}\n"


def test_what_prowler_prints_goes_nowhere_and_only_our_files_stay(box: Box) -> None:
    done = box.run()
    assert (done.stdout, done.stderr) == ("", "")
    assert {each.name for each in box.out.iterdir()} == {"report.ocsf.json", "exit.json"}
    for each in box.out.iterdir():
        assert each.stat().st_mode & 0o777 == 0o640, "the outlet reads it by its group, and nobody else does"


@pytest.mark.parametrize(
    ("variable", "option"), [("GLOVEBOX_SERVICES", "-s"), ("GLOVEBOX_WITHOUT", "--excluded-services")]
)
def test_a_shard_names_its_services_or_those_of_others(box: Box, variable: str, option: str) -> None:
    box.run(**{"GLOVEBOX_SERVICES": "", "GLOVEBOX_WITHOUT": "", variable: "iam s3"})
    assert box.named(option) == ["iam", "s3"]
    assert len({"-s", "--excluded-services"} & set(box.arguments())) == 1


def test_without_s3_no_check_of_another_service_asks_it_either(box: Box) -> None:
    box.run(GLOVEBOX_WITHOUT="iam s3")
    assert box.named("-e") == [*excluded_checks(), *bucket_checks()]
    box.run(GLOVEBOX_WITHOUT="s3control iam")
    assert box.named("-e") == excluded_checks()


def test_the_services_whose_checks_look_at_buckets_share_the_shard_of_s3() -> None:
    assert {check.partition("_")[0] for check in bucket_checks()} == set(shards.LOOK_AT_BUCKETS)


@pytest.mark.prowler
def test_the_checks_that_look_at_buckets_are_those_of_prowlers_source() -> None:
    [services] = PROWLER.parents[1].glob("lib/python*/site-packages/prowler/providers/aws/services")
    asking = {
        path.parent.name
        for path in services.rglob("*.py")
        if "services.s3." in path.read_text() and path.is_relative_to(services) and "_fixer" not in path.name
        if path.relative_to(services).parts[0] != "s3"
    }
    assert asking == set(LOOK_AT_BUCKETS)


@pytest.mark.parametrize("code", ["0", "1", "3"])
def test_it_ends_as_prowler_does(box: Box, code: str) -> None:
    done = box.run(END=code)
    assert (done.returncode, box.exit()) == (int(code), {"exit": int(code)})


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("variable", ["GLOVEBOX_REGIONS", "GLOVEBOX_SERVICES", "GLOVEBOX_WITHOUT"])
def test_a_name_that_is_none_is_neither_split_nor_globbed_nor_an_option(
    box: Box, variable: str, odd: str
) -> None:
    (box.out / "a-file").touch()
    done = box.run(**{"GLOVEBOX_REGIONS": "eu-west-1", variable: f"iam {odd}"})
    assert (done.returncode, box.exit()) == (2, {"exit": 2})
    assert not (box.root / "bin/told").exists()


def test_without_regions_nothing_is_scanned(box: Box) -> None:
    assert box.run(GLOVEBOX_REGIONS="").returncode == 2
    assert not (box.root / "bin/told").exists()


def test_without_an_environment_it_says_so(box: Box) -> None:
    environment = box.environment()
    (box.root / "in/environment").unlink()
    done = subprocess.run(["/bin/sh", "-c", prowler_script()], env=environment, timeout=WAIT, check=False)
    assert (done.returncode, box.exit()) == (2, {"exit": 2})


def _started(box: Box) -> tuple[subprocess.Popen[bytes], int]:
    """The script, and the process id of the stand-in that it runs."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", prowler_script()], env=box.environment(SLEEP="60"), start_new_session=True
    )
    until = time.monotonic() + WAIT
    while not (box.root / "bin/told").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return process, int(child)


def test_a_prowler_that_is_killed_is_told_of(box: Box) -> None:
    process, child = _started(box)
    os.kill(child, signal.SIGKILL)
    assert process.wait(WAIT) == 137
    assert box.exit() == {"exit": 137}


def test_a_task_that_is_stopped_stops_prowler_and_tells_of_it(box: Box) -> None:
    process, child = _started(box)
    process.terminate()
    assert process.wait(WAIT) == 143
    assert box.exit() == {"exit": 143}
    assert not Path(f"/proc/{child}").exists()


def test_what_the_audit_role_may_not_read_is_not_judged() -> None:
    denied = json.loads(COSTS.read_text())["denied"]
    assert {check for cost in denied.values() for check in cost["checks"]} < set(excluded_checks())


def test_what_takes_the_gateways_refusal_for_an_answer_is_not_asked() -> None:
    assert {
        "ec2_elastic_ip_shodan",
        "route53_dangling_ip_subdomain_takeover",
        "s3_bucket_shadow_resource_vulnerability",
    } < set(excluded_checks())


def test_shellcheck_finds_nothing() -> None:
    tool = str(Path(sys.executable).with_name("shellcheck"))
    text = filled(scan_source("prowler"))
    done = subprocess.run(
        [tool, "--shell=sh", "-"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
