"""Owner rules: the most specific one wins, whatever the order in which they are on record."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glovebox.errors import InputError
from glovebox.registry.owners import By, OwnerRule, Subject, matches, owner_of

ACCOUNT = "111122223333"
TEAMS = st.sampled_from(["payments", "platform", "shop"])
PARTS = st.sampled_from(["Root", "Prod", "Pay", "Shop"])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
TAGS = st.sampled_from(["env", "env=prod", "env=test", "tier", "tier=1", "env="])
PATTERNS = st.text("ab/*", min_size=1, max_size=6).filter(
    lambda each: "***" not in each and each.replace("**", "*").count("*") <= 3
)
SELECTORS = st.one_of(
    st.tuples(st.just(By.ACCOUNT), st.sampled_from([ACCOUNT, "444455556666"])),
    st.tuples(st.just(By.TAG), TAGS),
    st.tuples(st.just(By.OU), PATHS),
)
RULES = st.lists(st.builds(lambda by, team: rule(*by, team), SELECTORS, TEAMS), max_size=12)
SUBJECTS = st.builds(
    Subject,
    account=st.sampled_from([ACCOUNT, "444455556666", "777788889999"]),
    ou=st.lists(PARTS, max_size=5).map(tuple),
    tags=st.dictionaries(st.sampled_from(["env", "tier"]), st.sampled_from(["prod", "1", ""])),
)


def rule(by: By, value: str, team: str = "payments") -> OwnerRule:
    return OwnerRule(by=by, value=value, team=team)


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        (rule(By.ACCOUNT, ACCOUNT), rule(By.TAG, "env=prod", "shop")),
        (rule(By.TAG, "env=prod"), rule(By.TAG, "env", "shop")),
        (rule(By.TAG, "env"), rule(By.OU, "Root/Prod/Pay", "shop")),
        (rule(By.OU, "Root/Prod/Pay"), rule(By.OU, "Root/Prod", "shop")),
        (rule(By.OU, "Root/Prod"), rule(By.OU, "Root", "shop")),
    ],
)
def test_of_two_rules_for_an_account_the_more_specific_wins(stronger: OwnerRule, weaker: OwnerRule) -> None:
    subject = Subject(account=ACCOUNT, ou=("Root", "Prod", "Pay"), tags={"env": "prod"})
    for rules in ([stronger, weaker], [weaker, stronger]):
        owner = owner_of(subject, rules)
        assert (owner.team, owner.rule, owner.others) == ("payments", stronger, (weaker,))
        assert owner.because == stronger.name


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        ("acme/pay-api", "acme/pay-*"),
        ("acme/pay-*", "acme/*"),
        ("acme/*", "**"),
        ("*/pay-api", "acme/*"),
    ],
)
def test_of_two_patterns_the_one_with_more_letters_wins(stronger: str, weaker: str) -> None:
    rules = [rule(By.REPOSITORY, weaker, "shop"), rule(By.REPOSITORY, stronger)]
    assert owner_of(Subject(repository="Acme/Pay-API"), rules).team == "payments"


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("acme/*", "acme/shop", True),
        ("acme/*", "acme/shop/more", False),
        ("acme/**", "acme/shop/more", True),
        ("acme/*", "acmé/shop", False),
        ("acme/a.b", "acme/axb", False),
        ("acme/shop", "acme/shop\n", False),
        ("acme/shop", "acme/shopping", False),
    ],
)
def test_a_pattern_matches_whole_names(pattern: str, name: str, fits: bool) -> None:
    assert matches(rule(By.REPOSITORY, pattern), Subject(repository=name)) is fits


def test_a_unit_is_matched_by_its_parts_and_not_by_its_letters() -> None:
    assert not matches(rule(By.OU, "Root/Prod"), Subject(ou=("Root", "Production")))
    assert matches(rule(By.OU, "Root/Prod"), Subject(ou=("Root", "Prod", "Pay")))


def test_what_was_said_of_the_target_itself_goes_before_every_rule() -> None:
    subject = Subject(account=ACCOUNT, team="platform")
    owner = owner_of(subject, [rule(By.ACCOUNT, ACCOUNT)])
    assert (owner.team, owner.because) == ("platform", "said of this very target")


def test_two_rules_as_specific_are_decided_by_the_alphabet_and_that_is_said() -> None:
    subject = Subject(tags={"env": "prod", "tier": "1"})
    owner = owner_of(subject, [rule(By.TAG, "tier=1", "shop"), rule(By.TAG, "env=prod")])
    assert owner.team == "payments"
    assert owner.because == "tag:env=prod, first in the alphabet; as specific: tag:tier=1 (shop)"


def test_without_a_rule_nobody_owns_a_target() -> None:
    owner = owner_of(Subject(account=ACCOUNT), [rule(By.TAG, "env")])
    assert not owner.owned
    assert owner.because == "no rule matches"


@given(SUBJECTS, RULES, st.randoms())
def test_the_order_of_the_rules_does_not_matter(
    subject: Subject, rules: list[OwnerRule], random: object
) -> None:
    shuffled = list(rules)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis's own kind of Random
    assert owner_of(subject, rules) == owner_of(subject, shuffled)


@given(SUBJECTS, RULES, st.builds(lambda by, team: rule(*by, team), SELECTORS, TEAMS))
def test_a_rule_that_does_not_match_changes_nothing(
    subject: Subject, rules: list[OwnerRule], other: OwnerRule
) -> None:
    if not matches(other, subject):
        assert owner_of(subject, [*rules, other]) == owner_of(subject, rules)


@given(SUBJECTS, RULES)
def test_the_owner_is_the_team_of_a_rule_that_matches_and_all_that_match_are_told(
    subject: Subject, rules: list[OwnerRule]
) -> None:
    owner = owner_of(subject, rules)
    matching = [each for each in rules if matches(each, subject)]
    told = [owner.rule, *owner.others] if owner.rule else []
    assert owner.owned == bool(matching)
    assert sorted(map(str, told)) == sorted(map(str, matching))
    assert owner.team == (owner.rule.team if owner.rule else "")


@given(SUBJECTS, RULES, TEAMS)
def test_a_rule_for_the_account_itself_beats_all_others(
    subject: Subject, rules: list[OwnerRule], team: str
) -> None:
    others = [each for each in rules if each.by is not By.ACCOUNT]
    assert owner_of(subject, [*others, rule(By.ACCOUNT, subject.account, team)]).team == team


@given(PATTERNS, st.text("ab/", max_size=6))
def test_patterns_match_what_a_plain_search_says(pattern: str, name: str) -> None:
    _, _, rest = name.partition("/")
    names = [name, rest] if name.count("/") == 2 else [name]
    fits = any(glob(pattern, each) for each in names)
    assert matches(rule(By.REPOSITORY, pattern), Subject(repository=name)) is fits


def glob(pattern: str, name: str) -> bool:
    """The meaning of a pattern, step by step."""
    if not pattern:
        return not name
    if pattern.startswith("**"):
        return any(glob(pattern[2:], name[cut:]) for cut in range(len(name) + 1))
    if pattern.startswith("*"):
        part = len(name.split("/", 1)[0])
        return any(glob(pattern[1:], name[cut:]) for cut in range(part + 1))
    return name[:1] == pattern[0] and glob(pattern[1:], name[1:])


@pytest.mark.parametrize(
    ("by", "value"),
    [
        (By.ACCOUNT, "11112222333"),
        (By.ACCOUNT, "１１１１２２２２３３３３"),
        (By.TAG, ""),
        (By.TAG, "=prod"),
        (By.TAG, "env\x1b"),
        (By.OU, ""),
        (By.OU, "Root//Prod"),
        (By.OU, "/Root"),
        (By.OU, "a/b/c/d/e/f/g"),
        (By.REPOSITORY, ""),
        (By.REPOSITORY, "a b"),
        (By.REPOSITORY, "***"),
        (By.REPOSITORY, "*a*a*a*a"),
        (By.REPOSITORY, "a" * 257),
        (By.REPOSITORY, "(a+)+"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(by: By, value: str) -> None:
    with pytest.raises(InputError):
        rule(by, value)


@pytest.mark.parametrize("team", ["", "Payments", "-a", "a-", "a b", "a" * 64, "a\n"])
def test_a_rule_names_a_team_that_can_be_one(team: str) -> None:
    with pytest.raises(InputError):
        rule(By.ACCOUNT, ACCOUNT, team)


def test_every_letter_of_a_team_is_allowed() -> None:
    assert rule(By.ACCOUNT, ACCOUNT, string.ascii_lowercase + string.digits).team
