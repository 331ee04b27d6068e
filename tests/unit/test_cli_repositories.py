"""The commands for repositories, on a deployment made of dictionaries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from msgspec.structs import replace

from glovebox.cli.exit_codes import BAD_INPUT, INCOMPLETE, OK, REFUSED
from glovebox.registry.hosted import Unusable
from glovebox.registry.model import Account, Disabled, Team
from glovebox.registry.order import MAX_TARGETS, Refused, RepositoriesOrder
from glovebox.scans.model import ScanState
from glovebox.scans.repositories import Gap
from glovebox.services.repository_sync import ChangedRepository, Synced
from tests.deployment import RUN, Command, FakeRemote, start_repositories
from tests.prowler import ACCOUNT
from tests.registry import repository

SHOP, TOOLS = "github.com/acme/shop", "github.com/acme/tools"


# ---------------------------------------------------------------- targets


def test_a_repository_is_kept_by_commands(there: FakeRemote, run: Command) -> None:
    run("teams", "add", "payments")
    code, _, said = run(
        "targets",
        "add",
        "github.com/Acme/Shop",
        "--team",
        "payments",
        "--scanners",
        "trivy, kingfisher,trivy",
    )
    assert code == OK
    assert f"glovebox scan repository {SHOP}" in said
    assert there.registry.repository(SHOP) == repository(team="payments", scanners=("trivy", "kingfisher"))
    assert run("targets", "add", SHOP)[0] == REFUSED
    assert run("targets", "set", SHOP, "--scanners", "", "--disable")[0] == OK
    changed = there.registry.repository(SHOP)
    assert (changed.scanners, changed.disabled) == ((), Disabled.BY_HAND)
    told = json.loads(run("targets", "show", SHOP, "--json")[1])
    assert (told["kind"], told["team"], told["teamBecause"]) == (
        "repository",
        "payments",
        "said of this very target",
    )
    assert "disabled: by hand" in run("targets", "show", SHOP)[1]
    assert run("targets", "set", SHOP)[0] == BAD_INPUT
    code, _, said = run("targets", "remove", SHOP)
    assert (code, there.registry.repositories()) == (OK, [])
    assert "the next sync brings it back" in said


def test_repositories_are_listed_beside_accounts_and_by_owner(there: FakeRemote, run: Command) -> None:
    there.registry.add_team(Team(name="payments"))
    there.registry.add(Account(id=ACCOUNT))
    there.registry.add_repository(repository(codeowners=("@acme/payments",), archived=True))
    there.registry.add_repository(repository("tools"))
    listed = json.loads(run("targets", "list", "--json")[1])
    assert [(each["kind"], each["id"]) for each in listed] == [
        ("account", ACCOUNT),
        ("repository", SHOP),
        ("repository", TOOLS),
    ]
    mine = json.loads(run("targets", "list", "--team", "payments", "--json")[1])
    assert [each["teamBecause"] for each in mine] == [
        "no rule matches; its CODEOWNERS gives everything to @acme/payments"
    ]
    _, out, _ = run("targets", "list")
    assert ACCOUNT in out
    assert "enabled, archived" in out
    nobodys = json.loads(run("targets", "list", "--unowned", "--json")[1])
    assert [each["id"] for each in nobodys] == [ACCOUNT, TOOLS]


@pytest.mark.parametrize("name", [SHOP, "acme/shop", "Acme/Shop"])
def test_whose_a_repository_is_is_explained_by_its_name_with_and_without_host(
    there: FakeRemote, run: Command, name: str
) -> None:
    there.registry.add_team(Team(name="payments"))
    there.registry.add_repository(repository(topics=("team-payments",)))
    told = json.loads(run("owners", "explain", "--repository", name, "--json")[1])
    assert (told["team"], told["because"]) == ("payments", "no rule matches; it has the topic team-payments")


@pytest.mark.parametrize(
    "arguments",
    [
        ("targets", "add", "acme/shop"),
        ("targets", "add", SHOP, "--scanners", "prowler"),
        ("targets", "add", SHOP, "--name", "Shop"),
        ("targets", "add", SHOP, "--scan-region", "eu-west-1"),
        ("targets", "add", SHOP, "--team", "nobody"),
        ("targets", "add", ACCOUNT, "--scanners", "trivy"),
        ("targets", "show", TOOLS),
        ("targets", "set", TOOLS, "--disable"),
        ("targets", "remove", TOOLS),
        ("scan", "repository"),
        ("scan", "repository", TOOLS),
        ("scan", "repository", ACCOUNT),
        ("scan", "account", SHOP),
        ("scan", "repository", "--all", SHOP),
        ("scan", "repository", SHOP, "--ref=--upload-pack=sh"),
        ("scan", "repository", *(f"github.com/acme/r{number}" for number in range(MAX_TARGETS + 1))),
    ],
    ids=lambda arguments: " ".join(arguments)[:60],
)
def test_what_cannot_be_used_is_said_with_what_to_do(
    there: FakeRemote, run: Command, arguments: tuple[str, ...]
) -> None:
    code, out, said = run(*arguments)
    assert (code, out) == (BAD_INPUT, "")
    assert said.count(". ") >= 1, "a fix follows the reason"
    assert not there.orders.orders
    assert there.registry.repositories() == []


def test_a_sync_says_what_changed(there: FakeRemote, run: Command) -> None:
    there.synced = Synced(
        added=[SHOP],
        changed=[ChangedRepository(TOOLS, ["topics", "private"])],
        vanished=["github.com/acme/gone"],
        left_out=[Unusable(id="github.com/acme/odd", reason="It has no name.")],
        unchanged=7,
    )
    code, out, said = run("targets", "sync")
    assert code == OK
    assert said.index("up to five minutes") < said.index("1 added"), "nobody waits without a word"
    assert all(text in out for text in (SHOP, TOOLS, "topics, private", "disabled, kept", "It has no name."))
    assert "1 added, 1 changed, 1 vanished, 1 left out, 7 as they were." in said
    told = json.loads(run("targets", "sync", "--force", "--json")[1])
    assert told["changed"] == [{"id": TOOLS, "fields": ["topics", "private"]}]
    assert told.keys() == {"added", "changed", "vanished", "leftOut", "unchanged"}
    assert there.forced == [False, True]


# ---------------------------------------------------------------- scans


def test_an_order_names_the_repositories_the_ref_and_who_asks(there: FakeRemote, run: Command) -> None:
    there.registry.add_repository(repository())
    code, out, said = run("scan", "repository", SHOP, "github.com/ACME/shop", "--ref", "v1.2", "--json")
    assert code == OK
    assert there.orders.orders == [
        RepositoriesOrder(repositories=(SHOP,), ref="v1.2", requested_by=there.caller)
    ]
    assert json.loads(out) == {"runId": RUN, "repositories": 1, "scans": 1, "refused": []}
    assert f"Run {RUN}: 1 scans of 1 repositories." in said
    assert f"glovebox scan show {RUN} --wait" in said


def test_all_repositories_are_ordered_as_such(there: FakeRemote, run: Command) -> None:
    there.orders.enabled = (SHOP, TOOLS)
    assert run("scan", "repository", "--all")[0] == OK
    assert there.orders.orders == [RepositoriesOrder(repositories="all", requested_by=there.caller)]


def test_a_disabled_repository_is_not_ordered(there: FakeRemote, run: Command) -> None:
    there.registry.add_repository(repository(disabled=Disabled.VANISHED))
    code, _, said = run("scan", "repository", SHOP)
    assert code == REFUSED
    assert f"glovebox targets set {SHOP} --enable" in said
    assert there.orders.orders == []


@pytest.mark.parametrize(("end", "code"), [(ScanState.COMPLETED, OK), (ScanState.PARTIAL, INCOMPLETE)])
def test_waiting_ends_with_the_scans_and_says_what_each_looked_at(
    there: FakeRemote, run: Command, end: ScanState, code: int
) -> None:
    there.registry.add_repository(repository())
    there.registry.add_repository(repository("tools"))
    there.orders.ends = [ScanState.COMPLETED, end]
    ended, out, said = run("scan", "repository", SHOP, TOOLS, "--wait", "--json")
    assert ended == code
    assert "2/2 ended" in said
    scans = json.loads(out)["scans"]
    assert [(each["repository"], each["state"]) for each in scans] == [
        (SHOP, "completed"),
        (TOOLS, end.value),
    ]
    assert {(each["scanner"], each["ref"], each["commit"]) for each in scans} == {("trivy", "main", "c" * 40)}


def test_a_run_is_shown_with_what_it_refused(there: FakeRemote, run: Command) -> None:
    start_repositories(there.scans, (SHOP,), (Refused(repository=TOOLS, reason="it is disabled."),))
    code, out, said = run("scan", "show", RUN)
    assert code == OK
    assert f"{TOOLS} is not scanned: it is disabled." in said
    assert f"{SHOP}@main (trivy)" in out
    told = json.loads(run("scan", "show", RUN, "--json")[1])
    assert told["refused"] == [{"repository": TOOLS, "reason": "it is disabled."}]


def test_a_scan_that_is_not_whole_is_shown_with_all_that_its_snapshot_lacks(
    there: FakeRemote, run: Command
) -> None:
    start_repositories(there.scans, (SHOP,))
    [(scan_id, scan)] = there.scans.all_scans.items()
    assert scan.snapshot is not None
    gaps = [Gap(kind="lfs", path=f"art/{number}.psd") for number in range(9)]
    lacking = replace(scan.snapshot, gaps=gaps, gap_counts={"lfs": 12})
    there.scans.all_scans[scan_id] = replace(scan, snapshot=lacking)
    [told] = json.loads(run("scan", "show", RUN, "--json")[1])["scans"]
    assert told["gaps"] == [{"kind": "lfs", "path": f"art/{number}.psd"} for number in range(9)]
    assert told["gapCounts"] == {"lfs": 12}


# ---------------------------------------------------------------- the App


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, password: bytes | None = None) -> bytes:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, hidden
    )


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2_048)


def test_the_app_is_stored_and_the_key_of_fingerprints_stays(
    there: FakeRemote, run: Command, tmp_path: Path, rsa_key: rsa.RSAPrivateKey
) -> None:
    (tmp_path / "app.pem").write_bytes(pem(rsa_key))
    for app in ("12", "123"):
        code, out, said = run("github-app", "--id", app, "--key", str(tmp_path / "app.pem"))
        assert (code, out) == (OK, "")
        assert "PRIVATE" not in said
        assert pem(rsa_key).decode().splitlines()[1] not in said
    stored = json.loads(there.github_app.text or "")
    assert stored == {"appId": "123", "privateKey": pem(rsa_key).decode(), "fingerprintKey": "f" * 64}


def test_what_is_no_key_of_an_app_is_refused_and_nothing_of_it_is_shown(
    there: FakeRemote, run: Command, tmp_path: Path, rsa_key: rsa.RSAPrivateKey
) -> None:
    before = there.github_app.text
    public = rsa_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for content in (
        b"",
        b"not a key S3CRET",
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(rsa.generate_private_key(65_537, 1_024)),  # noqa: S505 - refused for that
        pem(rsa_key, password=b"password"),
        public,
        pem(rsa_key)[:-200],
        b"x" * (1 << 20),
    ):
        (tmp_path / "app.pem").write_bytes(content)
        code, out, said = run("github-app", "--id", "123", "--key", str(tmp_path / "app.pem"))
        assert (code, out) == (BAD_INPUT, "")
        assert said.count("\n") == 1
        assert "S3CRET" not in said
    assert run("github-app", "--id", "123", "--key", str(tmp_path / "none.pem"))[0] == BAD_INPUT
    assert there.github_app.text == before


@pytest.mark.parametrize("text", [None, "", "{}", "null", '{"fingerprintKey": "short"}', '{"a": 1}'])
def test_a_secret_without_its_key_of_fingerprints_is_not_written_over(
    there: FakeRemote, run: Command, tmp_path: Path, rsa_key: rsa.RSAPrivateKey, text: str | None
) -> None:
    there.github_app.text = text
    (tmp_path / "app.pem").write_bytes(pem(rsa_key))
    code, _, said = run("github-app", "--id", "123", "--key", str(tmp_path / "app.pem"))
    assert code == BAD_INPUT
    assert "key of fingerprints" in said
    assert there.github_app.text == text
