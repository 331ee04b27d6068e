"""Repositories on record, and whose they are."""

from __future__ import annotations

import pytest

from glovebox.errors import ConflictError, InputError, NotFoundError
from glovebox.findings.model import Acceptance
from glovebox.registry.model import Disabled, Repository, Team
from glovebox.registry.owners import By, OwnerRule, Ownership, Subject, owner_of
from glovebox.registry.registry import DAY, Registry
from tests.registry import registry, repository

SHOP = "github.com/acme/shop"
NOW = 1_800_000_000


@pytest.fixture
def ours() -> Registry:
    """Two teams, and no repository."""
    made = registry()
    for name in ("payments", "platform"):
        made.add_team(Team(name=name, acceptance_days=30))
    return made


def of(ours: Registry, **values: object) -> Ownership:
    return ours.owner(Subject.of(repository(**values)))


# ---------------------------------------------------------------- keeping


def test_a_repository_is_added_changed_and_taken_off_record(ours: Registry) -> None:
    ours.add_repository(repository(team="payments"))
    assert ours.change_repository(SHOP, scanners=("trivy",)).scanners == ("trivy",)
    assert ours.repository(SHOP) == repository(team="payments", scanners=("trivy",))
    ours.remove_repository(SHOP)
    assert ours.repositories() == []
    with pytest.raises(NotFoundError, match=f"glovebox targets add {SHOP}"):
        ours.repository(SHOP)


def test_one_that_is_on_record_is_not_added_again(ours: Registry) -> None:
    ours.add_repository(repository())
    with pytest.raises(ConflictError, match=f"glovebox targets set {SHOP}"):
        ours.add_repository(repository(private=False))


@pytest.mark.parametrize(
    "name", ["acme/shop", "github.com/acme", "github.com/Acme/shop", "github.com/a/..", ""]
)
def test_what_is_no_repository_is_said_to_be_none(ours: Registry, name: str) -> None:
    with pytest.raises(InputError, match="is no repository"):
        ours.repository(name)
    with pytest.raises(InputError, match="is no repository"):
        Repository(id=name)


def test_a_team_must_be_on_record_before_it_owns(ours: Registry) -> None:
    with pytest.raises(NotFoundError, match="glovebox teams add nobody"):
        ours.add_repository(repository(team="nobody"))
    ours.add_repository(repository())
    with pytest.raises(NotFoundError):
        ours.change_repository(SHOP, team="nobody")


@pytest.mark.parametrize("values", [{"codeowners": ("@acme/payments",)}, {"topics": ("team-payments",)}])
def test_whoever_may_push_keeps_no_team_on_record(ours: Registry, values: dict[str, object]) -> None:
    ours.add_repository(repository(**values))
    ours.remove_team("payments")
    assert of(ours, **values).team == ""


def test_a_team_stays_while_a_repository_is_its_own(ours: Registry) -> None:
    ours.add_repository(repository(team="payments"))
    with pytest.raises(ConflictError, match=f"still owns: repository {SHOP}"):
        ours.remove_team("payments")
    ours.change_repository(SHOP, team="platform")
    ours.remove_team("payments")


@pytest.mark.parametrize("why", [Disabled.BY_HAND, Disabled.VANISHED])
def test_what_is_disabled_is_not_scanned_and_what_is_archived_is(ours: Registry, why: Disabled) -> None:
    ours.add_repository(repository("old", archived=True))
    ours.require_scannable_repositories(["github.com/acme/old"])
    ours.add_repository(repository(disabled=why))
    with pytest.raises(ConflictError, match=f"is disabled: {why.value}. To scan it"):
        ours.require_scannable_repositories(["github.com/acme/old", SHOP])
    with pytest.raises(NotFoundError):
        ours.require_scannable_repositories(["github.com/acme/none"])


def test_accounts_and_repositories_do_not_mix(ours: Registry) -> None:
    ours.add_repository(repository())
    assert ours.accounts() == []


# ---------------------------------------------------------------- owners


def test_each_source_of_an_owner_goes_before_the_next_and_says_which_it_is(ours: Registry) -> None:
    ours.add_team(Team(name="a"))
    ours.add_team(Team(name="b"))
    topics, codeowners = ("go", "team-platform"), ("@acme/a",)
    assert of(ours, topics=topics).because == "no rule matches; it has the topic team-platform"
    by_code = of(ours, topics=topics, codeowners=codeowners)
    assert (by_code.team, by_code.because) == (
        "a",
        "no rule matches; its CODEOWNERS gives everything to @acme/a",
    )
    ours.add_rule(OwnerRule(by=By.REPOSITORY, value="acme/*", team="b"))
    by_rule = of(ours, topics=topics, codeowners=codeowners)
    assert (by_rule.team, by_rule.because) == ("b", "repository:acme/*")
    own = of(ours, topics=topics, codeowners=codeowners, team="payments")
    assert (own.team, own.because) == ("payments", "said of this very target")
    assert [rule.team for rule in own.others] == ["b"]


@pytest.mark.parametrize(
    ("codeowners", "team"),
    [
        (("@acme/payments",), "payments"),
        (("@Acme/Payments",), "payments"),
        (("@ana", "ana@acme.example", "@acme/platform", "@acme/payments"), "platform"),
        (("@acme/strangers", "@acme/payments"), "payments"),
        (("@payments",), ""),
        (("@strangers/payments", "@shop/payments", "@github.com/payments"), ""),
        (("payments",), ""),
        (("payments@acme.example",), ""),
        (("@acme/strangers",), ""),
        (("@acme/payments/x",), ""),
    ],
)
def test_the_first_team_of_code_owners_that_is_on_record_owns(
    ours: Registry, codeowners: tuple[str, ...], team: str
) -> None:
    assert of(ours, codeowners=codeowners).team == team


def test_a_team_that_is_not_on_record_owns_nothing_and_is_named(ours: Registry) -> None:
    nobody = of(ours, codeowners=("@acme/strangers",), topics=("team-others",))
    assert nobody.team == ""
    assert "everything to @acme/strangers, which is no team on record" in nobody.because
    assert "the topic team-others, which is no team on record" in nobody.because


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("acme/shop", True),
        ("Acme/*", True),
        ("github.com/acme/shop", True),
        ("github.com/**", True),
        ("*/*", True),
        ("shop", False),
        ("ghe.example.com/**", False),
        ("acme/shopping", False),
    ],
)
def test_a_pattern_is_compared_with_and_without_the_host(pattern: str, fits: bool) -> None:
    rule = OwnerRule(by=By.REPOSITORY, value=pattern, team="payments")
    assert owner_of(Subject.of(repository()), [rule]).owned is fits


def test_a_name_with_its_host_is_as_good_as_one_without(ours: Registry) -> None:
    ours.add_rule(OwnerRule(by=By.REPOSITORY, value="acme/*", team="platform"))
    ours.add_rule(OwnerRule(by=By.REPOSITORY, value=SHOP, team="payments"))
    assert of(ours).team == "payments"
    assert of(ours, name="tools").team == "platform"


# ---------------------------------------------------------------- acceptances


def test_an_acceptance_lasts_as_long_as_the_owner_of_the_repository_allows(ours: Registry) -> None:
    ours.add_repository(repository(codeowners=("@acme/payments",)))
    for target, days in ((f"repo:{SHOP}", 30), (f"repo:{SHOP}@v1", 30), ("repo:github.com/acme/gone", 90)):
        for more, fine in ((0, True), (1, False)):
            accepted = Acceptance(reason="r", owner="o", until=NOW + days * DAY + more)
            if fine:
                ours.require_acceptable(target, accepted, now=NOW)
            else:
                with pytest.raises(InputError, match=f"for {days} days at most"):
                    ours.require_acceptable(target, accepted, now=NOW)
