"""Drive the decision through random events: python -m tests.vision.drive_decision --help.

The same events and the same oracle as in the tests, without Hypothesis, for millions of them.
Prints one line, and exits with 1 if a promise was broken, naming the seed and the event.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from random import Random

import numpy as np

from tests.vision.doorstep import GOOD, evidence, stack
from tests.vision.oracle import BARRED, FAKE, NOD, PLACES_APART, SHAKE, Oracle
from vision import CLEAR, Circumstances, DecisionPolicy, Match, Problem, Sighting

POLICIES = (
    DecisionPolicy(),
    DecisionPolicy(factor_wait=8.0),
    DecisionPolicy(quorum=1, attempts=1, lockout_base=4.0, lockout_max=10.0),
    DecisionPolicy(quorum=2, share=1.0, margin=0.0, window=1.0, cool_down=0.0),
    DecisionPolicy(quorum=4, share=0.25, absence=0.5, max_duration=4.0, lockout_base=2.0),
    DecisionPolicy(cool_down=60.0, lockout_base=8.0, factor_wait=1.0, max_age=0.5),
    DecisionPolicy(ask_again=2.0, put_within=1.0, attempts=50),
    DecisionPolicy(hold_longest=8.0, hold_unseen=1.0, cool_down=2.0, failure_fades=16.0),
    DecisionPolicy(crowd=3.0, crowd_window=16.0, lockout_base=2.0, lockout_max=8.0),
)
PEOPLE = ("anna", "ben", "eve")
SEQUENCE = 400
"""Events after which a new door with another policy begins."""
NAN, INFINITE = float("nan"), float("inf")


def made_up(count: int, seed: int) -> list[np.ndarray]:
    """Make embeddings: a direction, followed by a crowding of up to 1."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return list(np.hstack([vectors, rng.random((count, 1), np.float32)]))


EMBEDDINGS = made_up(2048, 20261124)
BROKEN = np.full(17, NAN, np.float32)


class Driver:
    """One door and the people at it, who come, stay, pretend and go at random.

    Times are multiples of 1/64 s, so that sums of them are exact.
    """

    def __init__(self, random: Random):
        self.random = random
        self.now = 1024.0
        self.oracle = Oracle(random.choice(POLICIES), self.now, asks=random.random() < 0.4)
        self.cast: dict[int, str] = {}
        self.fake: set[int] = set()
        self.asked: object = None
        self.circumstances = CLEAR
        self.last = (b"", EMBEDDINGS[0])
        self.faulty = random.random() < 0.5
        self.dark = random.random() < 0.5
        self.times: dict[int, list[float]] = {}
        """The times at which each place showed a readable face."""
        self.problems: Counter[str] = Counter()

    def step(self):
        """Let one thing happen."""
        chance = self.random.random()
        if self.oracle.last_grant is not None and self.random.random() < 0.1:
            self._hear_of_the_lock()
        if chance < 0.06:
            self._move_people()
        elif chance < 0.08:
            self._change_circumstances()
        if chance > 0.985:
            self._rare()
            return
        self._advance()
        self._ask()
        if self.random.random() < 0.85:
            attempt = self.oracle.observe(self._sighting(), self._clock(), self.circumstances)
        else:
            attempt = self.oracle.tick(self._clock())
        self._note(attempt)

    def _ask(self):
        """Act as the shell, which asks sooner or later, or cannot ask."""
        asking = self.oracle.decider.asking
        if asking is None or asking is self.asked:
            return
        chance = self.random.random()
        if chance < 0.5:
            self.oracle.put(self._clock())
        elif chance < 0.55:
            self.oracle.lose()
        elif chance < 0.9:
            return
        self.asked = asking

    def _hear_of_the_lock(self):
        """Act as the shell, which reports once what became of a grant."""
        problem = self.random.choice((None, None, Problem.LOCK_FAILED, Problem.LOCK_TIMEOUT))
        self.oracle.outcome(problem, momentary=self.random.random() < 0.2)
        self.oracle.last_grant = None

    def _note(self, attempt):
        if attempt is not None:
            self.problems["granted" if attempt.granted else attempt.problem.value] += 1

    def _advance(self):
        steps = (0, 4, 8, 13, 13, 16, 26, 32, 64)
        self.now += self.random.choice(steps) / 64
        if self.random.random() < 0.02:
            self.now += self.random.choice((1, 2, 3, 8, 30, 200))

    def _clock(self) -> float:
        if self.faulty and self.random.random() < 0.01:
            kind = self.random.choice((NAN, INFINITE, -INFINITE, "back"))
            if kind != "back":
                return kind
            self.now -= self.random.choice((1, 16, 64, 640, 64_000)) / 64
        return self.now

    def _move_people(self):
        place = self.random.randrange(3)
        if place in self.cast and self.random.random() < 0.7:
            del self.cast[place]
        else:
            self.cast[place] = self.random.choice((*PEOPLE, "stranger", "nobody known"))
        self.fake = {p for p in self.cast if self.random.random() < 0.1}

    def _change_circumstances(self):
        if self.random.random() < 0.6:
            self.circumstances = CLEAR
            return
        barred = {p: self.random.choice(BARRED) for p in PEOPLE if self.random.random() < 0.3}
        self.circumstances = Circumstances(barred, self.random.random() < 0.4)

    def _rare(self):
        random = self.random.random()
        if random < 0.2:
            why = self.random.choice((Problem.STOPPED, Problem.CAMERA_LOST))
            self._note(self.oracle.stop(self.now, why))
        elif random < 0.4:
            self.oracle.open_door(self.now)
        elif random < 0.6:
            self.oracle.close_door(self.now)
        elif random < 0.7:
            self.oracle.wrong_code(self.now)
        elif random < 0.85:
            self.oracle.clear()
        else:
            self.oracle.restart(self.now)

    def _sighting(self) -> Sighting:
        random = self.random
        age = random.choice((0, 6, 6, 13, 32)) / 64
        if self.faulty and random.random() < 0.05:
            age = random.choice((2.0, 2.5, 60.0, -1.0, NAN, INFINITE, -INFINITE))
        digest = random.randbytes(8)
        embedding = random.choice(EMBEDDINGS)
        if random.random() < 0.03:
            digest = self.last[0]
        self.last = (digest, embedding)
        places = sorted(self.cast, key=lambda _: random.random())
        taken_at = self.now - age
        seen = [self._face(place, taken_at) for place in places if random.random() < 0.95]
        return Sighting(digest, taken_at, tuple(seen))

    def _face(self, place: int, taken_at: float):
        random = self.random
        x = place * PLACES_APART + random.uniform(-30, 30)
        quality = FAKE if place in self.fake else GOOD
        if self.oracle.asks and quality is GOOD and random.random() < 0.2:
            quality = random.choice((NOD, NOD, SHAKE))
        chance = random.random()
        if chance < 0.04:
            problem = random.choice((Problem.BLURRED, Problem.TOO_DARK))
            return evidence(x=x, problem=problem, quality=quality)
        self.times.setdefault(place, []).append(taken_at)
        embedding = self.last[1] if chance < 0.08 else random.choice(EMBEDDINGS)
        who = self.cast[place]
        if who == "nobody known":
            return evidence(None, x=x, embedding=embedding, quality=quality)
        similarity, runner_up = random.choice((0.5, 0.6, 0.7, 0.8)), random.uniform(-0.2, 0.3)
        if who == "stranger":
            who = random.choice(PEOPLE)
            similarity = random.choice((0.2, 0.499, 0.499, 0.6))
        elif random.random() < 0.15:
            who, similarity = random.choice(PEOPLE), random.choice((0.3, 0.499, 0.7))
        if random.random() < 0.03:
            runner_up = random.choice((0.49, 0.5, similarity, NAN))
        if self.faulty and random.random() < 0.01:
            similarity = random.choice((NAN, INFINITE, -INFINITE, 1.5, -2.0))
            embedding = random.choice((embedding, BROKEN))
        look = None
        if self.dark:
            # The frame itself says nothing; its stack mostly says what the frame would have said.
            look = self._look(place, taken_at, who, similarity, runner_up)
            if random.random() < 0.9:
                who, similarity = random.choice(PEOPLE), random.choice((-2.9, 0.1, 0.3, 0.499))
        return evidence(
            who,
            similarity,
            x=x,
            embedding=embedding,
            runner_up=runner_up,
            quality=quality,
            look=look,
        )

    def _look(self, place, taken_at, who, similarity, runner_up):
        """Stack the latest frames, or something that is no valid stack."""
        random = self.random
        before = {at for at in self.times[place] if taken_at - 3.0 <= at < taken_at}
        times = [*sorted(before)[-random.randint(3, 9) :], taken_at]
        if len(times) < 4 and random.random() < 0.8:
            return None
        if random.random() < 0.15:
            times = self._no_stack(place, times)
        halves = [Match(who, similarity - random.choice((0, 0, 0.0625)), -1.0) for _ in range(2)]
        if random.random() < 0.1:
            other = Match(random.choice(PEOPLE), random.choice((0.3, 0.374, 0.375, 0.8, 1.1, NAN)))
            halves[random.randrange(2)] = other
        older, newer = halves
        return stack(times, who, similarity, older=older, newer=newer, runner_up=runner_up)

    def _no_stack(self, place: int, times: list[float]) -> list[float]:
        random = self.random
        others = [at for other, all_of in self.times.items() if other != place for at in all_of]
        return random.choice(
            (
                random.sample(times, len(times)),
                [times[0], *times],
                times[:-1],
                [*times, times[-1] + random.choice((0.25, NAN, INFINITE))],
                [random.choice(self.times[place]), *times],
                sorted([*times, *random.sample(others, min(2, len(others)))]),
                [times[0] - 1 / 128, *times[1:]],
                random.choice(([], [times[-1]], times[-3:], [NAN] * 5)),
            )
        )


def drive(events: int, seed: int) -> tuple[Counter[str], int]:
    """Run this many events; return how visits ended, and how many promises were broken."""
    total: Counter[str] = Counter()
    broken = done = sequence = 0
    while done < events:
        driver = Driver(Random(f"{seed} {sequence}"))  # noqa: S311 - no secret
        try:
            for _ in range(SEQUENCE):
                driver.step()
        except AssertionError as error:
            broken += 1
            at = driver.oracle.events
            print(f"seed {seed}, sequence {sequence}, event {at}: {error}", file=sys.stderr)
        done += driver.oracle.events
        total.update(driver.problems)
        total["events"] += driver.oracle.events
        for name in ("stacked", "hosted", "tried_again"):
            total[name] += getattr(driver.oracle, name)
        sequence += 1
    return total, broken


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.perf_counter()
    total, broken = drive(options.events, options.seed)
    names = ("events", "granted", "stacked", "hosted", "tried_again")
    events, grants, stacked, hosted, again = (total.pop(name, 0) for name in names)
    refusals = ", ".join(f"{count:,} {reason}" for reason, count in total.most_common())
    print(
        f"{events:,} events, {grants:,} grants ({stacked:,} by stacks, {again:,} of "
        f"people who stayed), {hosted:,} events with a host, {broken} violations, "
        f"{time.perf_counter() - began:.0f} s; refused: {refusals}"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
