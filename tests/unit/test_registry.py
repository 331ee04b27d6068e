"""The registry: what may be on record, and what an import makes of it."""

from __future__ import annotations

import pytest

from glovebox.errors import ConflictError, GloveboxError, InputError, NotFoundError, RefusedError
from glovebox.findings.model import Acceptance
from glovebox.registry.model import (
    DEFAULT_ACCEPTANCE_DAYS,
    Account,
    Disabled,
    Source,
    Team,
    refuse_scanning_account,
)
from glovebox.registry.owners import By, OwnerRule, Subject
from glovebox.registry.registry import DAY, Registry
from glovebox.registry.spreadsheet import read_accounts
from tests.registry import SCANNING, FakeTargets, account, member, registry

NOW = 1_795_000_000


@pytest.mark.parametrize(
    "values",
    [
        {"id": "11112222333"},
        {"id": "1111222233334"},
        {"id": "11112222333x"},
        {"id": "111122223333\n"},
        {"id": "١١١١٢٢٢٢٣٣٣٣"},
        {"name": "a" * 129},
        {"name": "\x1b[2J"},
        {"name": "a\u202eb"},
        {"ou": ("Root", "")},
        {"ou": ("Root", "a/b")},
        {"ou": ("a",) * 7},
        {"tags": {"": "x"}},
        {"tags": {"a=b": "x"}},
        {"tags": {"a": "\n"}},
        {"tags": {f"tag{number}": "" for number in range(51)}},
        {"regions": ("nowhere",)},
        {"regions": ("eu-west-1", "eu-west-1")},
        {"regions": ("eu-west-1; rm",)},
        {"team": "Not A Team"},
        {"external_id": "short"},
        {"external_id": "sixteen letters!"},
    ],
)
def test_an_account_that_cannot_be_one_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InputError) as refused:
        Account(**{"id": "111122223333", **values})  # type: ignore[arg-type]  # of many types
    assert refused.value.fix or "most" in str(refused.value)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "A"},
        {"contacts": ("nobody",)},
        {"contacts": ("#Security",)},
        {"contacts": ("a@b.example\nBcc: x@y.example",)},
        {"contacts": ("a@b.example",) * 21},
        {"acceptance_days": 0},
        {"acceptance_days": 367},
    ],
)
def test_a_team_that_cannot_be_one_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Team(**{"name": "payments", **values})  # type: ignore[arg-type]  # of many types


def test_no_way_of_the_registry_takes_the_account_that_scans() -> None:
    ours = registry()
    own = Account(id=SCANNING)
    with pytest.raises(RefusedError, match="can never be a target"):
        ours.add(own)
    with pytest.raises(RefusedError):
        ours.carry_out(ours.plan_file([(own, frozenset({"id"}))]))
    # Were it there all the same, because the deployment moved in, it would still not be scanned.
    ours.store.put(own, revision=0)
    with pytest.raises(RefusedError):
        ours.scannable(SCANNING)
    with pytest.raises(RefusedError):
        ours.change(SCANNING, name="me")


@pytest.mark.parametrize("scanning", ["", "none", "11112222333"])
def test_an_unknown_scanning_account_refuses_rather_than_lets_pass(scanning: str) -> None:
    with pytest.raises(InputError):
        refuse_scanning_account("111122223333", scanning)


def test_an_account_is_added_changed_and_removed() -> None:
    ours = registry()
    ours.add(account(1, name="one"))
    with pytest.raises(ConflictError, match="targets set"):
        ours.add(account(1))
    assert ours.change("000000000001", regions=("eu-west-1",)).name == "one"
    assert ours.accounts() == [account(1, name="one", regions=("eu-west-1",))]
    ours.remove("000000000001")
    with pytest.raises(NotFoundError, match="targets add"):
        ours.account("000000000001")


def test_a_disabled_account_is_not_scanned_and_it_is_said_how_it_would_be() -> None:
    ours = registry()
    ours.add(account(1, disabled=Disabled.BY_HAND))
    with pytest.raises(ConflictError, match="targets set 000000000001 --enable"):
        ours.scannable("000000000001")
    ours.change("000000000001", disabled=None)
    assert ours.scannable("000000000001").enabled


def test_a_change_based_on_what_no_longer_stands_is_refused() -> None:
    ours = registry()
    ours.add(account(1))
    ours.change("000000000001", name="theirs")
    with pytest.raises(ConflictError):
        ours.store.put(account(1, name="mine"), revision=1)
    assert ours.account("000000000001").name == "theirs"


def test_a_team_must_be_on_record_to_own_and_stays_while_it_owns() -> None:
    ours = registry()
    for way in (
        lambda: ours.add(account(1, team="payments")),
        lambda: ours.add_rule(OwnerRule(by=By.TAG, value="env", team="payments")),
        lambda: ours.carry_out(ours.plan_file([(account(1, team="payments"), frozenset({"id", "team"}))])),
    ):
        with pytest.raises(NotFoundError, match="teams add payments"):
            way()
    ours.add_team(Team(name="payments"))
    ours.add(account(1, team="payments"))
    ours.add_rule(OwnerRule(by=By.TAG, value="env", team="payments"))
    with pytest.raises(ConflictError, match=r"account 000000000001, rule tag:env\."):
        ours.remove_team("payments")
    ours.remove("000000000001")
    ours.remove_rule(By.TAG, "env")
    ours.remove_team("payments")
    assert ours.teams() == []


def test_there_is_one_rule_for_what_it_matches() -> None:
    ours = registry()
    for name in ("payments", "shop"):
        ours.add_team(Team(name=name))
    ours.add_rule(OwnerRule(by=By.OU, value="Root/Prod", team="payments"))
    with pytest.raises(ConflictError, match="owners remove --ou 'Root/Prod'"):
        ours.add_rule(OwnerRule(by=By.OU, value="Root/Prod", team="shop"))
    assert ours.owner(Subject(ou=("Root", "Prod"))).team == "payments"


# ---------------------------------------------------------------- acceptances


def acceptance(days: float) -> Acceptance:
    return Acceptance(reason="known", owner="me", until=NOW + int(days * DAY))


def test_an_acceptance_is_bounded_by_the_owner_of_the_account() -> None:
    ours = registry()
    ours.add_team(Team(name="payments", acceptance_days=10))
    ours.add(account(1, team="payments"))
    ours.require_acceptable("000000000001", acceptance(10), now=NOW)
    with pytest.raises(InputError, match="payments are accepted for 10 days at most"):
        ours.require_acceptable("000000000001", acceptance(10.1), now=NOW)


@pytest.mark.parametrize("on_record", [True, False])
def test_without_an_owner_the_default_bounds_it(on_record: bool) -> None:
    ours = registry()
    if on_record:
        ours.add(account(1))
    ours.require_acceptable("000000000001", acceptance(DEFAULT_ACCEPTANCE_DAYS), now=NOW)
    with pytest.raises(InputError, match="90 days at most"):
        ours.require_acceptable("000000000001", acceptance(DEFAULT_ACCEPTANCE_DAYS + 1), now=NOW)


# ---------------------------------------------------------------- organizations


def imported(ours: Registry, *members: object, force: bool = False) -> None:
    ours.carry_out(ours.plan_organization(members), force=force)  # type: ignore[arg-type]  # members


def test_an_import_brings_accounts_and_says_whom_it_left_out() -> None:
    ours = registry()
    plan = ours.plan_organization(
        [member(2), member(1), member(3, state="SUSPENDED"), member(int(SCANNING)), member(1)]
    )
    assert [each.id for each in plan.added] == ["000000000001", "000000000002"]
    assert [(each.id, each.reason) for each in plan.left_out] == [
        ("000000000003", "the organization says SUSPENDED"),
        (SCANNING, "it is the account that scans"),
    ]
    assert ours.accounts() == []
    ours.carry_out(plan)
    assert ours.account("000000000001") == account(
        1, name="account 1", ou=("Root", "Prod"), source=Source.ORGANIZATION
    )


def test_an_import_changes_what_the_organization_says_and_keeps_what_people_said() -> None:
    ours = registry()
    ours.add_team(Team(name="payments"))
    imported(ours, member(1))
    ours.change("000000000001", team="payments", regions=("eu-west-1",), external_id="x" * 16)
    plan = ours.plan_organization([member(1, name="renamed", tags={"env": "prod"})])
    assert [each.fields for each in plan.changed] == [["name", "tags"]]
    ours.carry_out(plan)
    after = ours.account("000000000001")
    assert (after.name, after.team, after.regions, after.external_id) == (
        "renamed",
        "payments",
        ("eu-west-1",),
        "x" * 16,
    )


def test_importing_the_same_again_writes_nothing() -> None:
    store = FakeTargets()
    ours = Registry(store, SCANNING)
    imported(ours, member(1), member(2))
    writes = store.writes
    plan = ours.plan_organization([member(1), member(2)])
    assert (plan.added, plan.changed, plan.vanished, plan.unchanged) == ((), (), (), 2)
    ours.carry_out(plan)
    assert store.writes == writes


def test_what_vanishes_is_disabled_and_kept_and_comes_back() -> None:
    ours = registry()
    ours.add(account(9, name="by hand"))
    imported(ours, member(1), member(2))
    imported(ours, member(1))
    gone = ours.account("000000000002")
    assert (gone.disabled, gone.name) == (Disabled.VANISHED, "account 2")
    assert ours.account("000000000009").enabled, "no import brought it, so none takes it away"
    assert ours.plan_organization([member(1)]).vanished == ()
    imported(ours, member(1), member(2))
    assert ours.account("000000000002").enabled


def test_what_is_suspended_is_disabled() -> None:
    ours = registry()
    imported(ours, member(1), member(2))
    imported(ours, member(1), member(2, state="PENDING_CLOSURE"))
    assert ours.account("000000000002").disabled is Disabled.INACTIVE


@pytest.mark.parametrize(
    "members", [[member(1), member(2)], [member(1)], [member(2, state="SUSPENDED"), member(1)]]
)
def test_what_a_person_disabled_no_import_enables(members: list[object]) -> None:
    ours = registry()
    imported(ours, member(1), member(2))
    ours.change("000000000002", disabled=Disabled.BY_HAND)
    imported(ours, *members)
    imported(ours, member(1), member(2))
    assert ours.account("000000000002").disabled is Disabled.BY_HAND


def test_an_organization_that_names_nobody_is_no_organization() -> None:
    with pytest.raises(InputError, match="names no account"):
        registry().plan_organization([])


@pytest.mark.parametrize(("kept", "refused"), [(19, True), (20, False), (21, False)])
def test_an_import_that_disables_more_than_half_waits_for_a_person(kept: int, refused: bool) -> None:
    ours = registry()
    imported(ours, *map(member, range(40)))
    plan = ours.plan_organization(map(member, range(kept)))
    if not refused:
        ours.carry_out(plan)
    else:
        with pytest.raises(RefusedError, match="21 of 40 accounts"):
            ours.carry_out(plan)
        assert all(each.enabled for each in ours.accounts())
        ours.carry_out(plan, force=True)
    assert sum(each.enabled for each in ours.accounts()) == kept


def test_a_plan_that_is_out_of_date_is_not_carried_out() -> None:
    ours = registry()
    imported(ours, member(1))
    plan = ours.plan_organization([member(1, name="renamed")])
    ours.change("000000000001", regions=("eu-west-1",))
    with pytest.raises(ConflictError, match="meanwhile"):
        ours.carry_out(plan)
    assert ours.account("000000000001").regions == ("eu-west-1",)


# ---------------------------------------------------------------- files


def test_a_file_brings_all_that_can_be_said_of_an_account() -> None:
    [(read, fields)] = read_accounts(
        b"\xef\xbb\xbfid,name,ou,tags,regions,team,external_id,enabled\r\n"
        b'111122223333,"Shop, old",Root/Prod,env=prod; tier=1,eu-west-1;eu-central-1,payments,'
        b"0123456789abcdef,no\r\n"
    )
    assert read == Account(
        id="111122223333",
        name="Shop, old",
        ou=("Root", "Prod"),
        tags={"env": "prod", "tier": "1"},
        regions=("eu-west-1", "eu-central-1"),
        team="payments",
        external_id="0123456789abcdef",
        disabled=Disabled.BY_HAND,
        source=Source.FILE,
    )
    assert "disabled" in fields


def test_columns_that_a_file_has_not_leave_what_is_on_record() -> None:
    ours = registry()
    ours.add(account(1, name="old", regions=("eu-west-1",), disabled=Disabled.BY_HAND))
    ours.carry_out(ours.plan_file(read_accounts(b"id,name\n000000000001,new\n")))
    assert ours.account("000000000001") == account(
        1, name="new", regions=("eu-west-1",), disabled=Disabled.BY_HAND
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "first line must name columns"),
        (b"name\nx\n", "with id among them"),
        (b"id,id\n1,2\n", "each once"),
        (b"id,nmae\n1,2\n", "not 'nmae'"),
        (b"id\n11112222333\n", "line 2: '11112222333' is no account id. It has twelve digits; spreadsheets"),
        (b"id\n000000000001\n\n000000000001\n", "line 4: 000000000001 is on line 2 already"),
        (b"id,name\n000000000001\n", "line 2: It has 1 cells where the first line has 2"),
        (b"id,enabled\n000000000001,perhaps\n", "neither yes nor no"),
        (b"id,tags\n000000000001,env\n", "no tag"),
        (b'id,name\n000000000001,"open', "no CSV"),
        (b"\xff\xfe", "no UTF-8"),
        (b"id\n" + b"x" * (11 << 20), "10 MiB"),
        (b"id\n" + b"x\n" * 20_001, "20,000 rows"),
        (b"id\n" + b"x\n" * 12, "And 2 more"),
        (b"id,name\n000000000001,\x1b[2J\n", "<U+001B>[2J"),
    ],
)
def test_a_file_that_is_wrong_anywhere_brings_nothing(content: bytes, said: str) -> None:
    with pytest.raises(GloveboxError) as refused:
        read_accounts(content)
    assert said in str(refused.value)
    assert "\x1b" not in str(refused.value)
