"""Turns sightings into one decision per visit: a pure state machine that is told the time.

A visit begins with the first face and ends with exactly one ``AccessAttempt``. The frames of a
visit are correlated, so the quorum does not multiply their false positive rates; it guards against
a single freak frame, a replayed frame, and two people who each contribute a part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Final

from ..matching.thresholds import OperatingPoint, Thresholds
from ..pad import ChallengeState
from ..tracking.seen_frames import SeenFrames
from ..tracking.tracker import Tracker
from ..types import AccessAttempt, Evidence, Match, Problem, Sighting
from .challenge import Ask, Asking
from .cool_down import CoolDown
from .lockout import Lockout
from .policy import CLEAR, Circumstances, DecisionPolicy, Judge
from .visit import Visit
from .voting import Shot, Voting

FAILED_AT_ONCE: Final = (
    Problem.NOT_LIVE,
    Problem.CHALLENGE_FAILED,
    Problem.CHALLENGE_UNAVAILABLE,
    Problem.SECOND_FACTOR_MISSING,
)
"""Denials of a complete quorum that count as failures. Denials of people who may not come in now do
not: they are known, gain nothing by trying, and could lock the household out."""


class Decider:
    """Turns the sightings of one camera into access attempts.

    Failures, which lead to a lockout, are the refusals that a stranger can cause and repeat. A
    visit is a failure if a face showed as many distinct usable frames as a quorum takes and nothing
    opened (whatever the reason; with fewer frames it could not have opened, so a passer-by costs
    nothing), if its quorum was judged not live, or if it lacked an answer or the second factor. No
    failures are: visits that the camera or the shell ended, visits without a usable face, people
    who may not come in now, a lock that does not obey, and visits refused because of a lockout.
    """

    def __init__(
        self,
        policy: DecisionPolicy,
        thresholds: Thresholds,
        operating_point: OperatingPoint,
        *,
        judge: Judge | None = None,
        ask: Callable[[], Ask] | None = None,
        lockout: Lockout | None = None,
        frames: SeenFrames | None = None,
        cool_down: CoolDown | None = None,
    ) -> None:
        """Open only for similarities of at least ``operating_point.threshold``.

        ``judge`` is asked once a face's quorum is complete, with the evidence of its votes within
        the window (another face, shown in between, must not hide what is wrong with this one); then
        twice in each window while the face waits (for its answer, or the second factor), and
        always at the grant. ``ask`` draws each visit's question; nobody is let in who did not
        answer it. ``lockout`` and ``cool_down`` are the door's, shared by the deciders of all its
        cameras; the shell keeps the lockout over restarts, and the camera's ``frames`` where a
        door is made again and its camera is not.
        """
        self.lockout = Lockout(policy) if lockout is None else lockout
        self._policy = policy
        self._thresholds = thresholds
        self.use(operating_point)
        self._judge = judge
        self._ask = ask
        self._asking: Asking | None = None
        self._asked_at = float("-inf")
        self._tracker = Tracker(max_gap=policy.absence)
        self._visit: Visit | None = None
        self._frames = SeenFrames() if frames is None else frames
        self._now = float("-inf")
        self._last_face_at = float("-inf")
        self._denied: dict[int, float] = {}
        """Tracks that were denied at once, and until when they are not looked at again."""
        self._cool_down = CoolDown() if cool_down is None else cool_down

    def use(self, operating_point: OperatingPoint) -> None:
        """Open only for this similarity from now on: the people enrolled are more, or fewer."""
        loosest = self._thresholds.rows[0].threshold
        self._voting = Voting(self._policy, operating_point.threshold, loosest)

    @property
    def in_visit(self) -> bool:
        """Whether there is a visit that is not over, whether decided or not."""
        return self._visit is not None

    @property
    def is_hosting(self) -> bool:
        """Whether somebody who was let in is still in view."""
        visit = self._visit
        return visit is not None and visit.admitted is not None and visit.kept_out_until is None

    @property
    def asking(self) -> Asking | None:
        """The question to the visitors; the shell puts each one once and reports how that went.

        It stays when its visit is refused: a face that is known must not end the question.
        """
        return self._asking

    @property
    def confidence(self) -> float | None:
        """The best confidence of the running visit, 0..1; None without a visit or a usable face."""
        if self._visit is None or self._visit.first_usable_at is None:
            return None
        return self._thresholds.confidence(self._visit.best[0])

    def observe(
        self, sighting: Sighting, now: float, circumstances: Circumstances = CLEAR
    ) -> AccessAttempt | None:
        """Take what one frame showed, at monotonic ``now``; return the attempt it decided."""
        stepped_back = now < self._now
        ended = self.tick(now)
        if not sighting.evidence or stepped_back or not isfinite(now):
            return ended
        self._last_face_at = now
        self._cool_down.face(now)
        fresh = 0.0 <= now - sighting.taken_at <= self._policy.max_age
        shot = Shot(sighting.taken_at, fresh, repeated=self._frames.known(sighting.digest))
        asks = self._asks(shot, sighting.evidence, now)
        if asks:
            # A denied visitor is asked when everybody else would be.
            self._denied = {}
        tracks = self._tracker.assign([e.face for e in sighting.evidence], sighting.taken_at)
        seen = {
            track: evidence
            for track, evidence in zip(tracks, sighting.evidence, strict=True)
            if track not in self._denied
        }
        if not seen:
            return ended
        visit = self._visit
        if visit is None or visit.is_kept_out_since(now):
            visit = self._visit = Visit(now)
        if visit.admitted is not None:
            self._stay(visit, seen, now)
            return ended
        visit.last_face_at = now
        visit.frames += 1
        visit.factor_missing = circumstances.factor_missing
        if asks and self._ask is not None:
            self._asked_at = now
            visit.asking = self._asking = Asking(self._ask(), now, self._policy.put_within)
        voted = self._vote(visit, shot, seen)
        # A visit that began in this call has one frame, and one call returns one attempt.
        if ended is not None:
            return ended
        # Only a face in this frame is let in: nobody enters on the votes of a person who has left.
        attempts = (self._decide(visit, track, now, circumstances) for track in voted)
        return next((attempt for attempt in attempts if attempt is not None), None)

    def tick(self, now: float) -> AccessAttempt | None:
        """Let time pass without a frame; return the attempt that this decided, if any.

        A time that is not a finite number is ignored. A time before the last one resets everything,
        because what was seen cannot be dated any more.
        """
        if not isfinite(now):
            return None
        if now < self._now:
            return self._reset(now)
        self._now = now
        self._denied = {track: until for track, until in self._denied.items() if now < until}
        self._cool_down.tick(now, self._policy.absence)
        if now - self._last_face_at >= self._policy.absence:
            self._asked_at = float("-inf")
        visit = self._visit
        if visit is None:
            return None
        gone = now - visit.last_face_at >= self._policy.absence
        if not gone and (visit.admitted is not None or not self._overdue(visit, now)):
            return None
        self._visit = None
        return self._refuse(visit, now) if visit.admitted is None else None

    def conclude(self, outcome: AccessAttempt) -> None:
        """Take back what became of a grant: whom the lock did not let in is no guest.

        Whoever still stands there after the cool-down begins another visit, and may be let in.
        """
        visit = self._visit
        if not outcome.granted and visit is not None and visit.started_at == outcome.started_at:
            visit.kept_out_until = outcome.decided_at + self._policy.cool_down

    def stop(self, problem: Problem, now: float) -> AccessAttempt | None:
        """End a running visit because nothing more will come, and drop all evidence."""
        visit, self._visit, self._asking = self._visit, None, None
        if visit is None or visit.admitted is not None:
            return None
        return visit.attempt(self._thresholds, max(visit.started_at, now), problem)

    def _reset(self, now: float) -> AccessAttempt | None:
        visit, self._visit, self._asking = self._visit, None, None
        self._denied = {}
        self._now = self._last_face_at = now
        self._asked_at = min(self._asked_at, now)
        self._cool_down.start_again(now)
        if visit is None or visit.admitted is not None:
            return None
        return visit.attempt(self._thresholds, visit.started_at, Problem.STALE_FRAMES)

    def _overdue(self, visit: Visit, now: float) -> bool:
        if visit.waiting_since is not None:
            return now - visit.waiting_since >= self._policy.factor_wait
        if visit.asking is not None and visit.asking.is_open(now):
            return False
        return now - visit.started_at >= self._policy.max_duration

    def _stay(self, visit: Visit, seen: dict[int, Evidence], now: float) -> None:
        """Keep a visit that let a person in for as long as they are in view.

        Within the cool-down, a face that left its track is recognised again by whom it resembles.
        The people behind them get a visit, and a decision, of their own after that.
        """
        if visit.admitted not in seen:
            again = [track for track, evidence in seen.items() if self._cooling(evidence.match)]
            if not again:
                return
            visit.admitted = again[0]
        visit.last_face_at = now

    def _asks(self, shot: Shot, seen: Sequence[Evidence], now: float) -> bool:
        """Whether to ask now: at any first usable face, and not again for a while."""
        visit = self._visit
        return (
            self._ask is not None
            and (visit is None or (visit.asking is None and visit.admitted is None))
            and shot.distinct
            and any(e.problem is None and e.embedding is not None for e in seen)
            and not self.lockout.locked(now)
            and now - self._asked_at >= self._policy.ask_again
        )

    def _vote(self, visit: Visit, shot: Shot, seen: dict[int, Evidence]) -> list[int]:
        """Count what the faces in one frame tell; return the tracks that voted."""
        voted = []
        for track, evidence in seen.items():
            if shot.distinct and evidence.problem is None:
                visit.usable.append((shot.taken_at, track))
            match, embedding = self._voting.said(visit, shot, track, evidence), evidence.embedding
            problem = self._voting.note(visit, shot, evidence, match)
            if problem is None and match is not None and embedding is not None:
                problem = self._objection(match) or self._voting.cast(
                    visit, shot, track, match, embedding
                )
            if problem is None:
                voted.append(track)
                visit.evidence.append((shot.taken_at, track, evidence))
                if visit.asking is not None and match is not None and embedding is not None:
                    visit.asking.meet(track, match.person, embedding)
            else:
                visit.problems[problem] += 1
            if visit.asking is not None and shot.distinct:
                visit.asking.observe(track, evidence, shot.taken_at)
        return voted

    def _objection(self, match: Match) -> Problem | None:
        """Say why a face must not vote now, whomever it resembles."""
        if self.lockout.locked(self._now):
            return Problem.LOCKED_OUT
        return Problem.TOO_FEW_FRAMES if self._cooling(match) else None

    def _cooling(self, match: Match | None) -> bool:
        """Whether a face is that of somebody who was let in, and has been standing there since."""
        if match is None or not self._voting.accepts(match):
            return False
        since = self._cool_down.since(match.person, self._now)
        return since is not None and since < self._policy.cool_down

    def _decide(
        self, visit: Visit, track: int, now: float, circumstances: Circumstances
    ) -> AccessAttempt | None:
        """Grant or deny if the quorum of ``track``, which has just voted, is complete."""
        since = now - self._policy.window
        votes = visit.agreeing(track, since)
        person = votes[-1].person if votes else None
        # A face that resembles two enrolled people is not known to be either.
        if (
            person is None
            or len(votes) < self._policy.quorum
            or any(vote.person != person for vote in votes)
            or visit.share(track, person) < self._policy.share
        ):
            return None
        objection, waits = self._standing(visit, track, person, now, circumstances)
        # Judging every frame would cost too much; what is shown meanwhile is judged at the grant.
        judged_lately = now - visit.judged.get(track, float("-inf")) < self._policy.window / 2
        if waits and judged_lately:
            return None
        visit.judged[track] = now
        problem = None if self._judge is None else self._judge(visit.shown(track, since))
        if problem is None and waits:
            return None
        problem = problem or objection
        if problem is None:
            self.lockout.clear()
            self._cool_down.begin(person, now)
            visit.admitted = track
            self._asking = None
            return visit.attempt(self._thresholds, now, None, votes)
        # No second try in this visit, nor immediately in the next.
        self._visit = None
        self._denied[track] = now + self._policy.max_duration
        if problem in FAILED_AT_ONCE:
            self.lockout.fail(now)
        return visit.attempt(self._thresholds, now, problem, votes)

    def _standing(
        self, visit: Visit, track: int, person: str, now: float, circumstances: Circumstances
    ) -> tuple[Problem | None, bool]:
        """Say what a proven face lacks, and whether it may still be supplied in this visit."""
        answer = self._answer(visit, track, person, now)
        visit.unanswered = answer is not ChallengeState.PASSED
        if visit.unanswered:
            return visit.shortcoming, answer is ChallengeState.WAITING
        # Barred people learn it only now: until then their pictures are treated like a stranger's.
        if person in circumstances.barred:
            return circumstances.barred[person], False
        if not circumstances.factor_missing:
            return None, False
        if visit.waiting_since is None:
            visit.waiting_since = now
        return Problem.SECOND_FACTOR_MISSING, not self._overdue(visit, now)

    def _answer(self, visit: Visit, track: int, person: str, now: float) -> ChallengeState:
        if self._ask is None:
            return ChallengeState.PASSED
        if visit.asking is None:
            return ChallengeState.WAITING
        return visit.asking.state(track, person, now)

    def _refuse(self, visit: Visit, now: float) -> AccessAttempt:
        """Refuse a visit whose time is up."""
        problem = Problem.LOCKED_OUT if self.lockout.locked(now) else visit.reason()
        looked = max(visit.looks.values(), default=0) >= self._policy.quorum
        if looked and problem is not Problem.LOCKED_OUT:
            self.lockout.fail(now)
        return visit.attempt(self._thresholds, now, problem)
