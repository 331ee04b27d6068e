"""Keys that change under everybody's hands: what is in use is always known to those who must know it.

A year and more of hourly runs, some missed, some cut off before or after a write took effect.  Checked are
not samples but whole intervals: from what was in the secret when, and on the board when.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from glovebox.errors import UpstreamError
from glovebox.rotation import (
    MAX_PUBLISHED,
    Found,
    MakePending,
    Private,
    Promote,
    Publish,
    Published,
    Rule,
    Stage,
    entries_of,
    is_overdue,
    next_step,
)
from glovebox.services.keys import Keys, Rotation
from glovebox.tickets import rotation as tickets
from glovebox.tickets.claims import MAX_SITE_LIFETIME, MAX_SKEW
from glovebox.tickets.keys import MAX_KEYS_FILE, KeySet
from glovebox.tickets.signer import Signer
from squid.authority import LIFE, OVERLAP, RENEW_BEFORE, mint, private_leaf, rule_for, secret_of
from squid.hosts import LISTS, hosts_of

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 400
GATEWAY_LAG = timedelta(minutes=5)
"""How far a gateway is behind secret and board: `squid_boot.sh`."""
TICKET_LIFE = timedelta(seconds=MAX_SITE_LIFETIME + MAX_SKEW)
SCANNER_LIFE = timedelta(hours=2)
HOSTS = ["ec2.us-east-1.amazonaws.com", "s3.us-east-1.amazonaws.com"]
LEAF_RULE = rule_for(HOSTS)
MAX_PARAMETER = 4_096
"""Parameter Store's standard tier, in characters."""

READ_KEY = functools.lru_cache(maxsize=8)(tickets.private_key)
READ_LEAF = functools.lru_cache(maxsize=8)(private_leaf)


class CutError(UpstreamError):
    """The function died, or the answer to a write was lost."""


@dataclass
class World:
    """A secret and a board that remember everything, and fail as often as they are told."""

    chance: random.Random
    trouble: float
    now: datetime = START
    stages: dict[Stage, str] = field(default_factory=dict)
    current: list[tuple[datetime, str]] = field(default_factory=list)
    board: list[tuple[datetime, str]] = field(default_factory=lambda: [(START, "No key yet.")])

    def read(self, stage: Stage) -> str | None:
        return self.stages.get(stage)

    def write(self, stage: Stage, text: str) -> None:
        def apply() -> None:
            first = not self.stages
            self.stages[stage] = text
            # Secrets Manager makes a secret's first version the current one, whatever is asked for.
            if first or stage is Stage.CURRENT:
                self.stages[Stage.CURRENT] = text
                self.current.append((self.now, text))

        self._perhaps(apply)

    def post(self, text: str) -> None:
        self._perhaps(lambda: self.board.append((self.now, text)))

    def _perhaps(self, apply: Callable[[], None]) -> None:
        self.now += timedelta(seconds=self.chance.randint(1, 20))
        lost, cut = (self.chance.random() < self.trouble for _ in range(2))
        if not lost:
            apply()
        if lost or cut:
            raise CutError("cut off")


@dataclass
class Board:
    world: World

    def read(self) -> str:
        return self.world.board[-1][1]

    def write(self, text: str) -> None:
        self.world.post(text)


def keys_in(world: World, rule: Rule, read: Callable[[str], Private | None], make: object) -> Keys:
    rotation = Rotation(name="it", safe=world, board=Board(world), rule=rule, read=read, make=make)  # type: ignore[arg-type]
    return Keys(rotations=[rotation], clock=lambda: world.now)


def lived(seed: int, rule: Rule, read: Callable[[str], Private | None], make: object) -> World:
    """A world after `DAYS` of hourly runs, of which some are missed, sometimes half a day long."""
    chance = random.Random(seed)  # noqa: S311 - repeatable is what it is for
    world = World(chance, trouble=0.2)
    keys = keys_in(world, rule, read, make)
    hour = START
    while hour < START + timedelta(days=DAYS):
        hour += timedelta(hours=chance.choice([1] * 30 + [2, 3, 12]))
        world.now = max(world.now, hour + timedelta(seconds=chance.randint(0, 900)))
        try:
            keys.handle()
        except CutError:
            continue
    world.trouble = 0
    keys.handle()
    return world


def uses(world: World, read: Callable[[str], Private | None]) -> list[tuple[str, datetime, datetime]]:
    """Public half, and from when to when it was the one in use."""
    ends = [*(moment for moment, _ in world.current[1:]), world.now]
    found = []
    for (begin, text), end in zip(world.current, ends, strict=True):
        private = read(text)
        assert private
        found.append((private.pem, begin, end))
    return found


def absences(world: World, pem: str, begin: datetime, end: datetime) -> list[datetime]:
    """When, between the two, `pem` did not stand on the board."""
    ends = [*(moment for moment, _ in world.board[1:]), world.now + timedelta(days=1)]
    return [
        moment
        for (moment, text), until in zip(world.board, ends, strict=True)
        if until > begin and moment < end and pem not in text
    ]


def first_posted(world: World, pem: str) -> datetime:
    return next(moment for moment, text in world.board if pem in text)


def check(
    world: World, read: Callable[[str], Private | None], *, before: timedelta, after: timedelta
) -> Sequence[tuple[str, datetime, datetime]]:
    found = uses(world, read)
    for number, (pem, begin, end) in enumerate(found):
        # Of the very first one nobody can have heard before it was there.
        since = begin - before if number else max(begin, first_posted(world, pem))
        assert absences(world, pem, since, end + after) == [], number
    assert max(len(entries_of(text)) for _, text in world.board) <= MAX_PUBLISHED
    return found


@pytest.mark.parametrize("seed", range(6))
def test_a_gateway_knows_the_key_of_every_ticket_that_is_not_over(seed: int) -> None:
    world = lived(seed, tickets.RULE, READ_KEY, lambda _: tickets.new_key())
    found = check(world, READ_KEY, before=GATEWAY_LAG, after=tickets.SIGNING_LAG + TICKET_LIFE)
    assert len(found) >= 10, "the keys did change"
    for _, text in world.board[1:]:
        assert len(text) <= MAX_KEYS_FILE
        KeySet.from_pem(text.encode())


@pytest.mark.parametrize("seed", range(6))
def test_a_scanner_trusts_whatever_leaf_it_meets_and_none_has_ended(seed: int) -> None:
    world = lived(seed, LEAF_RULE, READ_LEAF, lambda now: secret_of(mint(HOSTS, now)))
    found = check(world, READ_LEAF, before=SCANNER_LIFE, after=GATEWAY_LAG)
    assert len(found) >= 5, "the leaf did change"
    for pem, _, end in found:
        # Leaf and authority end in the same second.
        assert end + GATEWAY_LAG < x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


@pytest.mark.parametrize(
    ("change", "of"),
    [
        ({"publish_before": timedelta(0)}, "tickets"),
        ({"retire_after": timedelta(minutes=30)}, "tickets"),
        ({"publish_before": timedelta(minutes=30)}, "leaf"),
        ({"retire_after": timedelta(0)}, "leaf"),
    ],
)
def test_the_simulation_notices_a_rule_that_is_too_hasty(change: dict[str, timedelta], of: str) -> None:
    if of == "tickets":
        world = lived(1, replace(tickets.RULE, **change), READ_KEY, lambda _: tickets.new_key())
        read, before, after = READ_KEY, GATEWAY_LAG, tickets.SIGNING_LAG + TICKET_LIFE
    else:
        world = lived(1, replace(LEAF_RULE, **change), READ_LEAF, lambda now: secret_of(mint(HOSTS, now)))
        read, before, after = READ_LEAF, SCANNER_LIFE, GATEWAY_LAG
    with pytest.raises(AssertionError):
        check(world, read, before=before, after=after)


# ---------------------------------------------------------------- single steps


def calm() -> tuple[World, Keys]:
    world = World(random.Random(0), trouble=0)  # noqa: S311
    return world, keys_in(world, tickets.RULE, tickets.private_key, lambda _: tickets.new_key())


def test_the_first_run_leaves_a_key_in_use_and_published() -> None:
    world, keys = calm()
    keys.handle()
    signer = Signer.from_pem(world.stages[Stage.CURRENT].encode())
    assert KeySet.from_pem(world.board[-1][1].encode()).keys.keys() == {signer.kid}
    posted, before = len(world.board), dict(world.stages)
    world.now += timedelta(days=29)
    keys.handle()
    assert (len(world.board), world.stages) == (posted, before), "nothing is due"


def test_what_a_deployment_set_back_is_repaired_by_the_next_run() -> None:
    world, keys = calm()
    keys.handle()
    known = entries_of(world.board[-1][1])
    world.board.append((world.now, "No key yet."))
    keys.handle()
    assert [entry.pem for entry in entries_of(world.board[-1][1])] == [entry.pem for entry in known]


def test_a_successor_whose_publication_was_set_back_waits_anew() -> None:
    world, keys = calm()
    keys.handle()
    first = world.stages[Stage.CURRENT]
    world.now += tickets.ROTATE_AFTER
    keys.handle()
    world.board.append((world.now, "No key yet."))
    world.now += timedelta(minutes=59)
    keys.handle()
    world.now += timedelta(minutes=59)
    keys.handle()
    assert world.stages[Stage.CURRENT] == first
    world.now += timedelta(minutes=2)
    keys.handle()
    assert world.stages[Stage.CURRENT] != first


def test_keys_that_were_thrown_away_by_hand_are_replaced_at_once_and_believed_no_more() -> None:
    world, keys = calm()
    keys.handle()
    lost = Signer.from_pem(world.stages[Stage.CURRENT].encode()).kid
    world.stages = dict.fromkeys(Stage, "revoked")
    world.board.append((world.now, "revoked"))
    keys.handle()
    kid = Signer.from_pem(world.stages[Stage.CURRENT].encode()).kid
    assert KeySet.from_pem(world.board[-1][1].encode()).keys.keys() == {kid}
    assert kid != lost


def test_somebody_else_who_writes_the_board_is_noticed() -> None:
    world, _ = calm()

    class Fickle(Board):
        def read(self) -> str:
            return "other"

    rotation = Rotation(
        name="it",
        safe=world,
        board=Fickle(world),
        rule=tickets.RULE,
        read=tickets.private_key,
        make=lambda _: tickets.new_key(),
    )
    with pytest.raises(UpstreamError, match="rest"):
        Keys(rotations=[rotation], clock=lambda: world.now).handle()


def test_one_rotation_that_fails_does_not_hold_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    broken, keys = calm()
    broken.trouble = 1
    well, other = calm()
    both = Keys(rotations=[*keys.rotations, *other.rotations], clock=lambda: START)
    with pytest.raises(CutError):
        both.handle()
    assert Stage.CURRENT in well.stages
    assert "keys are fresh" not in capsys.readouterr().out


def test_fresh_keys_are_said_to_be_and_overdue_ones_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    world, keys = calm()
    keys.handle()
    assert "keys are fresh" in capsys.readouterr().out
    [rotation] = keys.rotations
    assert not is_overdue(rotation.found(), tickets.RULE, world.now + tickets.ROTATE_AFTER)
    assert is_overdue(rotation.found(), tickets.RULE, world.now + tickets.ROTATE_AFTER + tickets.OVERDUE)
    assert is_overdue(Found(current=None, pending=None, published=()), tickets.RULE, world.now)


def test_a_successor_that_is_never_taken_into_use_is_overdue() -> None:
    world, keys = calm()
    keys.handle()
    world.now += tickets.ROTATE_AFTER
    keys.handle()
    [rotation] = keys.rotations
    assert not is_overdue(rotation.found(), tickets.RULE, world.now + timedelta(hours=2))
    assert is_overdue(rotation.found(), tickets.RULE, world.now + timedelta(hours=8))


def test_a_leaf_that_lacks_a_name_gets_a_successor_at_once() -> None:
    text = secret_of(mint(HOSTS, START))
    private = private_leaf(text)
    assert private
    rule = rule_for([*HOSTS, "ec2.eu-west-3.amazonaws.com"])
    posted = (Published(private.pem, START, used=START),)
    found = Found(current=private, pending=None, published=posted)
    assert next_step(found, rule, START) == MakePending("it lacks *.eu-west-3.amazonaws.com")
    assert next_step(found, LEAF_RULE, START) is None
    assert next_step(found, LEAF_RULE, START + LIFE - RENEW_BEFORE) == MakePending("it ends in 30 days")


def test_a_leaf_waits_for_scanners_before_and_after_it_changes() -> None:
    first, second = (private_leaf(secret_of(mint(HOSTS, START))) for _ in range(2))
    assert first
    assert second
    posted = (Published(first.pem, START, used=START), Published(second.pem, START))
    found = Found(current=first, pending=second, published=posted)
    assert next_step(found, LEAF_RULE, START + OVERLAP - timedelta(seconds=1)) is None
    assert next_step(found, LEAF_RULE, START + OVERLAP) == Promote(second)
    later = START + OVERLAP
    changed = Found(current=second, pending=second, published=posted)
    step = next_step(changed, LEAF_RULE, later)
    assert isinstance(step, Publish)
    assert [entry.retired for entry in step.entries] == [later, None]
    after = Found(current=second, pending=second, published=step.entries)
    assert next_step(after, LEAF_RULE, later + OVERLAP - timedelta(seconds=1)) is None
    last = next_step(after, LEAF_RULE, later + OVERLAP)
    assert isinstance(last, Publish)
    assert [entry.pem for entry in last.entries] == [second.pem]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        '{"certificate": "", "key": "", "authority": ""}',
        secret_of(mint(HOSTS, START)).replace("BEGIN PRIVATE", "BEGIN PUBLIC"),
    ],
)
def test_a_secret_that_holds_no_leaf_of_ours_counts_as_none(text: str) -> None:
    assert private_leaf(text) is None


def test_a_key_or_an_authority_of_another_leaf_is_no_pair() -> None:
    one, other = mint(HOSTS, START), mint(HOSTS, START + timedelta(seconds=1))
    mixed = type(one)(authority=one.authority, leaf=one.leaf, key=other.key)
    foreign = type(one)(authority=other.authority, leaf=one.leaf, key=one.key)
    assert private_leaf(secret_of(one)) is not None
    assert private_leaf(secret_of(mixed)) is None
    assert private_leaf(secret_of(foreign)) is None


def test_three_authorities_of_the_largest_list_fit_a_parameter() -> None:
    hosts = hosts_of(max(LISTS.glob("*.txt"), key=lambda path: path.stat().st_size))
    pem = mint(hosts, START).authority.decode()
    entry = Published(pem, START, START, START)
    assert len(Publish((entry,) * MAX_PUBLISHED).text()) <= MAX_PARAMETER


def test_what_is_published_is_read_back_also_without_its_last_line_end() -> None:
    entries = (
        Published("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", START),
        Published("-----BEGIN PUBLIC KEY-----\nBBBB\n-----END PUBLIC KEY-----\n", START, START, START),
    )
    assert entries_of(Publish(entries).text()) == entries
    assert entries_of(Publish(entries).text().rstrip()) == entries


def test_no_repr_shows_a_secret() -> None:
    private = tickets.private_key(tickets.new_key())
    assert private
    assert "PRIVATE" not in repr(private) + repr(Promote(private))
