"""Leave for one visit: who has it, until when, and that it is used once."""

from math import inf, nan

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from custom_components.face_lock.access.one_time_pass import MAX_SECONDS, Passes

PEOPLE = st.sampled_from(["ada", "bob"])
RULES = st.sampled_from(["as given", "changed"])


def test_a_pass_lets_in_once_and_ends() -> None:
    passes = Passes()
    passes.give("ada", "rules", 60, 1000)
    assert passes.holds("ada", "rules", 1059.9)
    assert not passes.holds("ada", "rules", 1060)
    assert not passes.holds("bob", "rules", 1001)
    assert passes.use("ada", "rules", 1001)
    assert not passes.use("ada", "rules", 1001)


def test_whoever_changes_the_rules_ends_the_pass() -> None:
    passes = Passes()
    passes.give("ada", "outside the hours", 60, 0)
    assert not passes.use("ada", "suspended", 1)
    # It was used up by the attempt: no second try brings it back.
    assert not passes.use("ada", "outside the hours", 1)


def test_it_can_be_taken_back() -> None:
    passes = Passes()
    assert not passes.take_back("ada")
    passes.give("ada", "rules", 60, 0)
    assert passes.take_back("ada")
    assert not passes.holds("ada", "rules", 1)


@pytest.mark.parametrize("seconds", [0, -1, nan, inf, MAX_SECONDS + 1])
def test_no_pass_is_given_for_such_a_time(seconds) -> None:
    passes = Passes()
    with pytest.raises(ValueError, match="up to a day"):
        passes.give("ada", "rules", seconds, 0)
    assert not passes.holds("ada", "rules", 0)


@pytest.mark.parametrize("now", [nan, inf, -inf])
def test_a_time_that_is_none_gives_and_finds_no_pass(now) -> None:
    passes = Passes()
    with pytest.raises(ValueError, match="up to a day"):
        passes.give("ada", "rules", 60, now)
    passes.give("ada", "rules", 60, 1000)
    assert not passes.holds("ada", "rules", now)


def test_a_clock_that_steps_back_finds_no_pass() -> None:
    passes = Passes()
    passes.give("ada", "rules", 60, 1000)
    assert not passes.holds("ada", "rules", 999)


def test_lifting_uses_nothing_up() -> None:
    passes = Passes()
    passes.give("ada", "rules", 60, 0)
    barred = {"ada": "suspended", "bob": "expired", "eve": "expired"}
    rules = {"ada": "rules", "bob": "rules"}
    for _ in range(2):
        assert passes.lift(barred, rules, 1) == {"bob": "expired", "eve": "expired"}
    assert passes.lift(barred, rules, 61) == barred
    assert passes.use("ada", "rules", 1)


class Model(RuleBasedStateMachine):
    """Against the plainest book-keeping: every pass that was given, and whether it was used."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = Passes()
        self.now = 0.0
        self.given: dict[str, tuple[str, float]] = {}

    @rule(person=PEOPLE, rules=RULES, seconds=st.floats(1, MAX_SECONDS))
    def give(self, person, rules, seconds) -> None:
        self.passes.give(person, rules, seconds, self.now)
        self.given[person] = rules, self.now + seconds

    @rule(seconds=st.floats(0, MAX_SECONDS))
    def wait(self, seconds) -> None:
        self.now += seconds

    @rule(person=PEOPLE)
    def take_back(self, person) -> None:
        assert self.passes.take_back(person) == (self.given.pop(person, None) is not None)

    @rule(person=PEOPLE, rules=RULES)
    def use(self, person, rules) -> None:
        expected = self.expected(person, rules)
        self.given.pop(person, None)
        assert self.passes.use(person, rules, self.now) == expected

    def expected(self, person, rules) -> bool:
        given = self.given.get(person)
        return given is not None and given[0] == rules and self.now < given[1]

    @invariant()
    def agree(self) -> None:
        for person in ("ada", "bob"):
            for rules in ("as given", "changed"):
                held = self.passes.holds(person, rules, self.now)
                assert held == self.expected(person, rules)
                lifted = self.passes.lift({person: "why"}, {person: rules}, self.now)
                assert lifted == ({} if held else {person: "why"})


TestModel = Model.TestCase
