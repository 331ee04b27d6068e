"""The commands on a deployment, with a deployment made of dictionaries."""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from glovebox.cli import remote, scan
from glovebox.cli.exit_codes import BAD_INPUT, INCOMPLETE, OK, REFUSED
from glovebox.cli.main import main
from glovebox.errors import InputError
from glovebox.findings import recording
from glovebox.findings.model import Observation, State
from glovebox.registry.model import Account, Disabled, Team
from glovebox.registry.order import AccountsOrder, Refused
from glovebox.scans.model import ScanState
from tests.deployment import RUN, Command, FakeRemote, start
from tests.findings import judgement, observation
from tests.prowler import ACCOUNT, COVERAGE
from tests.registry import SCANNING, member

NOW = int(datetime.now(UTC).timestamp())


# ---------------------------------------------------------------- targets, teams, owners


def test_an_account_is_kept_by_commands(there: FakeRemote, run: Command) -> None:
    run("teams", "add", "payments", "--contact", "#payments", "--acceptance-days", "30")
    code, _, said = run(
        *("targets", "add", ACCOUNT, "--name", "Shop", "--ou", "Root/Prod", "--tag", "env=prod"),
        *("--scan-region", "eu-west-1", "--team", "payments"),
    )
    assert code == OK
    assert f"glovebox scan account {ACCOUNT}" in said
    assert there.registry.account(ACCOUNT) == Account(
        id=ACCOUNT,
        name="Shop",
        ou=("Root", "Prod"),
        tags={"env": "prod"},
        regions=("eu-west-1",),
        team="payments",
    )
    assert run("targets", "add", ACCOUNT)[0] == REFUSED
    assert run("targets", "set", ACCOUNT, "--team", "", "--disable")[0] == OK
    assert there.registry.account(ACCOUNT).disabled is Disabled.BY_HAND
    _, out, _ = run("targets", "show", ACCOUNT, "--json")
    told = json.loads(out)
    assert (told["team"], told["teamBecause"], told["disabledBecause"]) == ("", "no rule matches", "by hand")
    assert run("targets", "set", ACCOUNT)[0] == BAD_INPUT
    assert run("targets", "remove", ACCOUNT)[0] == OK
    assert there.registry.accounts() == []


def test_the_scanning_account_is_refused_as_a_target(there: FakeRemote, run: Command) -> None:
    code, _, said = run("targets", "add", SCANNING)
    assert code == REFUSED
    assert "can never be a target" in said
    assert there.registry.accounts() == []


def test_accounts_are_listed_by_owner(there: FakeRemote, run: Command) -> None:
    there.registry.add_team(Team(name="payments"))
    there.registry.add(Account(id=ACCOUNT, tags={"env": "prod"}))
    there.registry.add(Account(id="444455556666"))
    assert run("owners", "add", "--team", "payments", "--tag", "env=prod")[0] == OK
    mine = json.loads(run("targets", "list", "--team", "payments", "--json")[1])
    assert [(each["id"], each["teamBecause"]) for each in mine] == [(ACCOUNT, "tag:env=prod")]
    nobodys = json.loads(run("targets", "list", "--unowned", "--json")[1])
    assert [each["id"] for each in nobodys] == ["444455556666"]
    _, out, _ = run("owners", "explain", "--account", ACCOUNT)
    assert "tag:env=prod" in out
    assert run("owners", "remove", "--tag", "env=prod")[0] == OK
    assert json.loads(run("owners", "list", "--json")[1]) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("targets", "add", "1234"),
        ("targets", "show", ACCOUNT),
        ("targets", "set", ACCOUNT, "--name", "x"),
        ("targets", "add", ACCOUNT, "--team", "nobody"),
        ("targets", "add", ACCOUNT, "--tag", "env"),
        ("owners", "add", "--team", "nobody", "--account", ACCOUNT),
        ("teams", "add", "Not A Name"),
        ("teams", "set", "payments"),
        ("targets", "import", "--file", "/nonexistent.csv"),
        ("scan", "account", ACCOUNT),
        ("scan", "account"),
        ("scan", "account", "--all", ACCOUNT),
        ("scan", "show", "not-a-run"),
        ("findings", "--team", "nobody"),
        ("findings", "--account", "12"),
        ("findings", "accept", "xyz", "--reason", "r", "--owner", "o", "--until", "2099-01-01"),
        ("findings", "withdraw", "0123456789ab"),
        ("findings", "--team", "payments", "release", ACCOUNT),
    ],
)
def test_what_cannot_be_used_is_said_with_what_to_do(
    there: FakeRemote, run: Command, arguments: tuple[str, ...]
) -> None:
    code, out, said = run(*arguments)
    assert (code, out) == (BAD_INPUT, "")
    assert said.count(". ") >= 1, "a fix follows the reason"
    assert not there.orders.orders


def test_an_import_is_shown_before_it_is_made(there: FakeRemote, run: Command) -> None:
    there.organization.every = [member(1), member(2, state="SUSPENDED"), member(int(SCANNING))]
    code, out, said = run("targets", "import", "--from-organizations", "--dry-run")
    assert code == OK
    assert there.registry.accounts() == []
    assert "+ added" in out
    assert "SUSPENDED" in out
    assert "1 added, 0 changed, 0 vanished, 2 left out" in said
    arguments = (
        "targets",
        "import",
        "--from-organizations",
        "--organizations-profile",
        "management",
        "--json",
    )
    told = json.loads(run(*arguments, "--json")[1])
    assert [each["id"] for each in told["added"]] == ["000000000001"]
    assert len(there.registry.accounts()) == 1


def test_a_file_is_imported(there: FakeRemote, run: Command, tmp_path: Path) -> None:
    file = tmp_path / "accounts.csv"
    file.write_text(f"id,name\n{ACCOUNT},Shop\n")
    assert run("targets", "import", "--file", str(file))[0] == OK
    assert there.registry.account(ACCOUNT).name == "Shop"


def test_a_large_loss_needs_force(there: FakeRemote, run: Command) -> None:
    there.organization.every = [member(number) for number in range(30)]
    run("targets", "import", "--from-organizations")
    there.organization.every = [member(1)]
    code, _, said = run("targets", "import", "--from-organizations")
    assert code == REFUSED
    assert "--force" in said
    assert run("targets", "import", "--from-organizations", "--force")[0] == OK
    assert sum(each.enabled for each in there.registry.accounts()) == 1


# ---------------------------------------------------------------- scans


def test_an_order_names_the_accounts_and_who_asks(there: FakeRemote, run: Command) -> None:
    there.registry.add(Account(id=ACCOUNT))
    code, _, said = run("scan", "account", ACCOUNT, ACCOUNT)
    assert code == OK
    assert there.orders.orders == [AccountsOrder(accounts=(ACCOUNT,), requested_by=there.caller)]
    assert f"glovebox scan show {RUN} --wait" in said


def test_all_accounts_are_ordered_as_such_and_launch_reads_which_these_are(
    there: FakeRemote, run: Command
) -> None:
    there.orders.enabled = (ACCOUNT, "444455556666")
    code, out, said = run("scan", "account", "--all", "--json")
    assert code == OK
    assert there.orders.orders == [AccountsOrder(accounts="all", requested_by=there.caller)]
    assert json.loads(out) == {"runId": RUN, "accounts": 2, "scans": 2, "refused": []}
    assert f"Run {RUN}: 2 scans of 2 accounts." in said


def test_with_no_account_on_record_all_are_none_and_that_is_fine(there: FakeRemote, run: Command) -> None:
    code, _, said = run("scan", "account", "--all", "--wait")
    assert code == OK
    assert f"Run {RUN}: 0 scans of 0 accounts." in said


@pytest.mark.parametrize("disabled", [Disabled.BY_HAND, Disabled.VANISHED])
def test_a_disabled_account_is_not_ordered(there: FakeRemote, run: Command, disabled: Disabled) -> None:
    there.registry.add(Account(id=ACCOUNT, disabled=disabled))
    there.registry.add(Account(id="444455556666"))
    code, _, said = run("scan", "account", "444455556666", ACCOUNT)
    assert code == REFUSED
    assert "--enable" in said
    assert there.orders.orders == []


def test_what_launch_refuses_is_said(there: FakeRemote, run: Command) -> None:
    there.registry.add(Account(id=ACCOUNT))
    there.orders.error = InputError("No regions are set.", fix="Set some.")
    code, out, said = run("scan", "account", ACCOUNT)
    assert (code, out) == (BAD_INPUT, "")
    waiting, refusal = said.splitlines()
    assert "up to five minutes" in waiting
    assert refusal == "glovebox: No regions are set. Set some."
    there.orders.error = None
    there.orders.refused = (Refused(account=ACCOUNT, reason="it has no role"),)
    code, _, said = run("scan", "account", ACCOUNT)
    assert code == INCOMPLETE
    assert "it has no role" in said


@pytest.mark.parametrize("waiting", [True, False])
def test_what_launch_refused_is_shown_with_its_run(there: FakeRemote, run: Command, waiting: bool) -> None:
    start(there.scans, (), (Refused(account=ACCOUNT, reason="it has no role"),))
    code, out, said = run("scan", "show", RUN, "--json", *(["--wait"] if waiting else []))
    assert code == (INCOMPLETE if waiting else OK)
    assert f"{ACCOUNT} is not scanned: it has no role" in said
    assert json.loads(out)["refused"] == [{"account": ACCOUNT, "reason": "it has no role"}]


@pytest.mark.parametrize("waiting", [True, False])
def test_a_run_that_nobody_made_is_not_shown_as_empty(there: FakeRemote, run: Command, waiting: bool) -> None:
    code, out, _ = run("scan", "show", RUN, *(["--wait"] if waiting else []))
    assert (code, out) == (BAD_INPUT, "")


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (ScanState.COMPLETED, OK),
        (ScanState.PARTIAL, INCOMPLETE),
        (ScanState.UNTRUSTED, INCOMPLETE),
        (ScanState.FAILED, INCOMPLETE),
        (ScanState.EXPIRED, INCOMPLETE),
        (ScanState.CANCELLED, INCOMPLETE),
    ],
)
def test_waiting_ends_with_the_scans_and_says_how(
    there: FakeRemote, run: Command, end: ScanState, code: int
) -> None:
    there.registry.add(Account(id=ACCOUNT))
    there.registry.add(Account(id="444455556666"))
    there.orders.ends = [ScanState.COMPLETED, end]
    ingest(there, observation(1), scan_id=f"{RUN}-0000")
    ended, out, said = run("scan", "account", ACCOUNT, "444455556666", "--wait", "--json")
    assert ended == code
    assert "0/2 ended: 2 running" in said
    assert "2/2 ended" in said
    scans = json.loads(out)["scans"]
    assert [(each["account"], each["state"]) for each in scans] == [
        (ACCOUNT, "completed"),
        ("444455556666", end.value),
    ]
    assert scans[0]["findings"] == {"new": 1}


def test_waiting_has_an_end_of_its_own(
    there: FakeRemote, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(there.scans, (ACCOUNT,))
    moments = iter(range(0, 1_000_000, 3_600))
    monkeypatch.setattr(scan.time, "monotonic", lambda: next(moments))
    code, out, said = run("scan", "show", RUN, "--wait", "--timeout", "120")
    assert code == INCOMPLETE
    assert "running" in out
    assert f"To go on: glovebox scan show {RUN} --wait" in said


# ---------------------------------------------------------------- findings


def ingest(
    there: FakeRemote, *observations: Observation, scan_id: str = "first", at: int = NOW - 3_600
) -> None:
    recording.record(
        there.findings,
        f"aws:{ACCOUNT}",
        judgement(*observations),
        scan_id=scan_id,
        at=at,
        coverage=COVERAGE,
        now=at + 60,
    )


def day(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")


def test_findings_are_shown_with_their_freshness(there: FakeRemote, run: Command) -> None:
    ingest(there, observation(1))
    code, out, said = run("findings")
    assert code == OK
    assert observation(1).id.hex()[:12] in out
    assert "1 findings. The oldest scan of 1 targets is of" in said
    assert "Never scanned: aws:444455556666" in run("findings", "--account", "444455556666")[2]


def test_no_findings_of_no_scan_is_said_to_be_just_that(there: FakeRemote, run: Command) -> None:
    assert "0 findings. No target was ever scanned" in run("findings")[2]


def test_old_news_is_called_old(there: FakeRemote, run: Command) -> None:
    ingest(there, observation(1), at=NOW - 10 * 86_400)
    assert "1 of them are older than 2 days" in run("findings")[2]


@pytest.mark.parametrize(
    ("arguments", "buckets"),
    [
        ((), {"1", "2"}),
        (("--account", ACCOUNT), {"1", "2"}),
        (("--account", "444455556666"), set()),
        (("--team", "payments"), {"1", "2"}),
        (("--team", "shop"), set()),
        (("--team", "shop", "--account", ACCOUNT), set()),
        (("--team", "payments", "--account", "444455556666"), set()),
        (("--state", "new"), {"1", "2"}),
        (("--state", "resolved"), set()),
        (("--state", "resolved", "--state", "new"), {"1", "2"}),
        (("--state", "all"), {"1", "2"}),
        (("--severity", "critical"), {"2"}),
        (("--service", "ec2"), set()),
        (("--check", "s3_bucket_public_access"), {"1"}),
        (("--check", "s3_bucket_public_access", "--service", "ec2"), set()),
        (("--held",), set()),
    ],
)
def test_filters_choose(
    there: FakeRemote, run: Command, arguments: tuple[str, ...], buckets: set[str]
) -> None:
    for name in ("payments", "shop"):
        there.registry.add_team(Team(name=name))
    there.registry.add(Account(id=ACCOUNT, team="payments"))
    grave = observation(2, check="s3_bucket_other", severity=type(observation(1).severity).CRITICAL)
    ingest(there, observation(1), grave)
    _, out, _ = run("findings", *arguments, "--format", "json")
    assert {each["resource"].rpartition("-")[2] for each in json.loads(out)} == buckets


def test_each_format_holds_every_finding(there: FakeRemote, run: Command, tmp_path: Path) -> None:
    ingest(there, observation(1), observation(2))
    ids = {observation(1).id.hex(), observation(2).id.hex()}
    readers: dict[str, Callable[[str], set[str]]] = {
        "json": lambda text: {each["id"] for each in json.loads(text)},
        "jsonl": lambda text: {json.loads(line)["id"] for line in text.splitlines()},
        "ocsf": lambda text: {each["finding_info"]["uid"] for each in json.loads(text)},
        "csv": lambda text: {each["id"] for each in csv.DictReader(io.StringIO(text))},
        "table": lambda text: {line.split("\t")[0] for line in text.splitlines()[1:]},
    }
    for kind, reader in readers.items():
        if kind != "table":
            assert reader(run("findings", "--format", kind)[1]) == ids
        file = tmp_path / f"findings.{kind}"
        code, out, _ = run("findings", "--format", kind, "-o", str(file))
        assert (code, out) == (OK, "")
        assert reader(file.read_text()) == ids
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(f"findings.{kind}" for kind in readers)


def test_a_file_is_written_in_the_format_of_its_ending(
    there: FakeRemote, run: Command, tmp_path: Path
) -> None:
    ingest(there, observation(1))
    run("findings", "-o", str(tmp_path / "a.csv"))
    run("findings", "-o", str(tmp_path / "a.txt"))
    assert (tmp_path / "a.csv").read_text().startswith("id,state,")
    assert json.loads((tmp_path / "a.txt").read_text())["state"] == "new"


def test_a_file_that_cannot_be_written_is_said(there: FakeRemote, run: Command, tmp_path: Path) -> None:
    code, _, said = run("findings", "-o", str(tmp_path / "none" / "a.csv"))
    assert code == BAD_INPUT
    assert "cannot be written" in said
    assert list(tmp_path.iterdir()) == []


def test_a_finding_is_accepted_by_the_begin_of_its_id_and_withdrawn(there: FakeRemote, run: Command) -> None:
    ingest(there, observation(1), observation(2))
    key = observation(1).id
    until = day(30)
    arguments = ("--reason", "known", "--owner", "ana", "--until", until)
    assert run("findings", "accept", key.hex()[:10], *arguments)[0] == OK
    [found] = there.findings.findings(f"aws:{ACCOUNT}", [key])
    assert found.state is State.ACCEPTED
    assert found.acceptance is not None
    assert (found.acceptance.reason, found.acceptance.owner) == ("known", "ana")
    moment = datetime.fromtimestamp(found.acceptance.until, UTC)
    assert moment.strftime("%Y-%m-%d %H:%M:%S") == f"{until} 00:00:00"
    assert run("findings", "withdraw", key.hex(), "--account", ACCOUNT)[0] == OK
    [found] = there.findings.findings(f"aws:{ACCOUNT}", [key])
    assert found.state is State.OPEN
    assert run("findings", "withdraw", key.hex())[0] == REFUSED


def test_an_acceptance_is_held_to_the_teams_bound(there: FakeRemote, run: Command) -> None:
    there.registry.add_team(Team(name="payments", acceptance_days=10))
    there.registry.add(Account(id=ACCOUNT, team="payments"))
    ingest(there, observation(1))
    arguments = ("findings", "accept", observation(1).id.hex(), "--reason", "r", "--owner", "o", "--until")
    code, _, said = run(*arguments, day(12))
    assert code == BAD_INPUT
    assert "10 days at most" in said
    assert run(*arguments, day(-1))[0] == BAD_INPUT
    assert run(*arguments, day(9))[0] == OK


def test_an_id_that_begins_several_findings_is_not_guessed(
    there: FakeRemote, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = [replace(observation(number), id=b"same" * 4 + bytes([number] * 4)) for number in (1, 2)]
    ingest(there, *twins)
    code, _, said = run("findings", "withdraw", b"same".hex())
    assert code == BAD_INPUT
    assert "2 findings begin with" in said


@pytest.mark.parametrize(("decision", "state"), [("release", State.RESOLVED), ("dismiss", State.OPEN)])
def test_what_is_held_waits_for_a_decision(
    there: FakeRemote, run: Command, decision: str, state: State
) -> None:
    many = [observation(number) for number in range(40)]
    ingest(there, *many, at=NOW - 7_200)
    ingest(there, many[0], scan_id="second")
    _, out, said = run("findings", "--held", "--format", "json")
    assert len(json.loads(out)) == 39
    assert f"glovebox findings release {ACCOUNT} or dismiss" in said
    assert run("findings", decision, ACCOUNT)[0] == OK
    [found] = there.findings.findings(f"aws:{ACCOUNT}", [many[1].id])
    assert found.state is state
    assert run("findings", decision, ACCOUNT)[0] == REFUSED


def test_the_latest_scans_of_an_account_are_shown_with_what_they_came_to(
    there: FakeRemote, run: Command
) -> None:
    assert f"never scanned: glovebox scan account {ACCOUNT}" in run("findings", "scans", ACCOUNT)[2]
    ingest(there, observation(1), observation(2), scan_id="20261122T000000Z-00000001-0000", at=NOW - 7_200)
    ingest(there, observation(1), scan_id="20261123T000000Z-00000001-0000")
    code, out, _ = run("findings", "scans", ACCOUNT)
    assert code == OK
    assert out.index("1 resolved") < out.index("2 new")
    assert "complete" in out
    told = json.loads(run("findings", "scans", ACCOUNT, "--last", "1", "--json")[1])
    assert [each["steps"] for each in told] == [{"resolved": 1}]


@pytest.mark.parametrize("number", ["0", "401", "-1", "x"])
def test_a_number_of_scans_that_is_none_is_refused(run: Command, number: str) -> None:
    with pytest.raises(SystemExit):
        run("findings", "scans", ACCOUNT, "--last", number)


def test_where_the_deployment_is_may_be_said_before_the_action(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, ...]] = []

    def connect(args: Any) -> FakeRemote:
        seen.append((args.local, args.profile, args.region))
        raise InputError("Enough.")

    monkeypatch.setattr(remote, "connect", connect)
    main(["findings", "--local", "release", ACCOUNT])
    main(["findings", "--profile", "p", "release", ACCOUNT, "--region", "r"])
    main(["findings", "release", ACCOUNT])
    main(["targets", "list", "--profile", "p"])
    assert seen == [(True, None, None), (False, "p", "r"), (False, None, None), (False, "p", None)]


@pytest.mark.parametrize("until", ["tomorrow", "2026-02-30", "2026-12-31T00:00"])
def test_a_day_that_is_none_is_refused(until: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["findings", "accept", "0" * 8, "--reason", "r", "--owner", "o", "--until", until])
    assert ended.value.code == BAD_INPUT
