"""Whose order decides is told from choices, and said only where they prove it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from glovebox.siteaudit.tls.preference import Preference, opposite_order

CHACHA20 = 0xCCA8
OFFERED = (1, 2, 3, 4, 5)


def eliminate(offered: Sequence[int], accepted: Sequence[int], *, server_decides: bool) -> Preference:
    """A server that accepts `accepted`, best first, asked until it refuses."""
    preference = Preference()
    left = list(offered)
    while fit := [
        code for code in (accepted if server_decides else left) if code in left and code in accepted
    ]:
        preference.observe(tuple(left), fit[0])
        left.remove(fit[0])
    return preference


def test_passing_over_an_accepted_suite_proves_the_servers_order() -> None:
    assert eliminate(OFFERED, (4, 2), server_decides=True).verdict((4, 2)) == "yes"


def test_choices_that_fit_both_orders_prove_nothing() -> None:
    assert eliminate(OFFERED, (2, 4), server_decides=True).verdict((2, 4)) == "unknown"
    assert eliminate(OFFERED, (4, 2), server_decides=False).verdict((2, 4)) == "unknown"


def test_following_two_opposite_orders_proves_the_clients() -> None:
    preference = eliminate(OFFERED, (4, 2), server_decides=False)
    preference.observe((4, 2), 4)
    assert preference.verdict((2, 4)) == "no"


def test_one_suite_has_no_order() -> None:
    assert eliminate(OFFERED, (2,), server_decides=True).verdict((2,)) == "unknown"


def test_the_opposite_order_hides_chacha20_behind_the_others() -> None:
    assert opposite_order((1, 2, CHACHA20)) == (2, 1, CHACHA20)


@given(st.permutations(OFFERED), st.integers(2, 5), st.booleans())
def test_one_question_in_the_opposite_order_settles_every_case(
    order: list[int], count: int, server_decides: bool
) -> None:
    accepted = order[:count]
    preference = eliminate(OFFERED, accepted, server_decides=server_decides)
    found = [code for code in OFFERED if code in accepted]
    if preference.verdict(found) == "unknown":
        question = opposite_order(found)
        best = accepted if server_decides else question
        preference.observe(question, best[0])
    assert preference.verdict(found) == ("yes" if server_decides else "no")
