"""Turns sightings into one decision per visit: a pure state machine that is told the time.

A visit begins with the first face and ends with one ``AccessAttempt``; for a face that stays after
it was refused, nothing more is told until it is let in. The frames of a visit are correlated, so
the quorum does not multiply their false positive rates; it guards against a single freak frame, a
replayed frame, and two people who each contribute a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite

from ..matching.thresholds import OperatingPoint, Thresholds
from ..tracking.seen_frames import SeenFrames
from ..tracking.tracker import Tracker
from ..types import AccessAttempt, Evidence, Problem, Sighting
from .challenge import Ask, Asking
from .cool_down import NEVER, CoolDown
from .guests import Guests
from .lockout import Lockout
from .policy import CLEAR, Circumstances, DecisionPolicy, Judge
from .stays import Stays
from .visit import Visit, Vote
from .voting import Shot, Voting


class Decider:
    """Turns the sightings of one camera into access attempts.

    A person who was let in holds the door for as long as they are seen, see ``Hold``; everybody
    else in view has a visit of their own. ``Stays`` says what counts as a failure.
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
        self._asked_at = NEVER
        self._tracker = Tracker(max_gap=policy.absence)
        self._visit: Visit | None = None
        self._frames = SeenFrames() if frames is None else frames
        self._now = NEVER
        self._last_face_at = NEVER
        self._stays = Stays(policy, self.lockout)
        self._guests = Guests(policy, CoolDown() if cool_down is None else cool_down)

    def use(self, operating_point: OperatingPoint) -> None:
        """Open only for this similarity from now on: the people enrolled are more, or fewer."""
        loosest = self._thresholds.rows[0].threshold
        self._voting = Voting(self._policy, operating_point.threshold, loosest)

    @property
    def in_visit(self) -> bool:
        """Whether there is a visit that is not over, whether decided or not."""
        return self.is_deciding or self.is_hosting

    @property
    def is_deciding(self) -> bool:
        """Whether there is a visit that is not decided yet."""
        return self._visit is not None

    @property
    def is_hosting(self) -> bool:
        """Whether a person who was let in holds the door; ``tick`` lets it end."""
        return self._guests.hold

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
        self._guests.face(now)
        fresh = 0.0 <= now - sighting.taken_at <= self._policy.max_age
        shot = Shot(sighting.taken_at, fresh, repeated=self._frames.known(sighting.digest))
        faces = [evidence.face for evidence in sighting.evidence]
        tracks = self._tracker.assign(faces, sighting.taken_at)
        self._stays.end([t for t in self._stays if not self._tracker.follows(t)], now)
        self._stays.begin(tracks, faces, leaving=self._guests.come_out(now))
        others = {
            track: evidence
            for track, evidence in zip(tracks, sighting.evidence, strict=True)
            if not self._guests.include(
                self._voting, shot, track, evidence, now, leaving=self._stays[track].leaving
            )
        }
        asks = self._asks(shot, others.values(), now)
        if asks:
            # A denied visitor is asked when everybody else would be.
            self._stays.let_try_again()
        seen = {
            track: evidence
            for track, evidence in others.items()
            if now >= self._stays[track].denied_until
        }
        if not seen:
            return ended
        visit = self._visit
        if visit is None:
            visit = self._visit = Visit(now)
        visit.join({track: self._stays[track] for track in seen}, now)
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
        self._guests.tick(now)
        if now - self._last_face_at >= self._policy.absence:
            self._asked_at = NEVER
        visit = self._visit
        if visit is None:
            return None
        gone = now - visit.last_face_at >= self._policy.absence
        if not gone and not visit.is_overdue(now, self._policy):
            return None
        self._visit = None
        return self._refuse(visit, now, stayed=not gone)

    def stop(self, problem: Problem, now: float) -> AccessAttempt | None:
        """End a running visit because nothing more will come, and drop all evidence."""
        visit, self._visit, self._asking = self._visit, None, None
        self._guests.stop()
        if visit is None:
            return None
        if problem is Problem.CAMERA_LOST and isfinite(now):
            # Otherwise whoever can disturb the camera has tried nothing.
            self._stays.count(visit.stays.values(), now)
        return self._tell(visit, max(visit.started_at, now), problem)

    def conclude(self, outcome: AccessAttempt, *, momentary: bool = False) -> None:
        """Take back what became of a grant of this decider, once the lock has answered.

        A person whose lock did not open, or opened only for a moment without saying so
        (``momentary``, such as a relay), is looked at again after the cool-down if they stay.
        """
        self._guests.conclude(outcome, momentary=momentary)

    def door_opened(self, now: float) -> None:
        """Note that the door itself opened: from inside, unless somebody was let in before."""
        self._guests.door_opened(now)

    def door_closed(self, now: float) -> None:
        """Note that the door closed: nobody holds it any more, and who is outside stays outside.

        Whoever came out, and looks back at the camera, is not let in again before they have left.
        """
        if isfinite(now):
            self._guests.door_closed(now)

    def _reset(self, now: float) -> AccessAttempt | None:
        visit, self._visit, self._asking = self._visit, None, None
        self._stays.clear()
        self._guests.reset(now)
        self._now = self._last_face_at = now
        self._asked_at = min(self._asked_at, now)
        return None if visit is None else self._tell(visit, visit.started_at, Problem.STALE_FRAMES)

    def _asks(self, shot: Shot, seen: Iterable[Evidence], now: float) -> bool:
        """Whether to ask now: at any first usable face, and not again for a while."""
        visit = self._visit
        return (
            self._ask is not None
            and (visit is None or visit.asking is None)
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
                problem = Problem.LOCKED_OUT if self.lockout.locked(self._now) else None
                if problem is None:
                    problem = self._voting.cast(visit, shot, track, match, embedding)
                    if shot.distinct:
                        self._stays.look(
                            track, evidence.face, match, embedding, self._voting, self._now
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
            # Another face in this very frame may have been one too many.
            or self.lockout.locked(now)
        ):
            return None
        objection, waits = visit.standing(
            track, person, now, circumstances, self._policy, asks=self._ask is not None
        )
        # Judging every frame would cost too much; what is shown meanwhile is judged at the grant.
        judged_lately = now - visit.judged.get(track, NEVER) < self._policy.window / 2
        if waits and judged_lately:
            return None
        visit.judged[track] = now
        problem = None if self._judge is None else self._judge(visit.shown(track, since))
        if problem is None and waits:
            return None
        problem = problem or objection
        if problem is None:
            return self._admit(visit, track, votes, now)
        # No second try in this visit, nor immediately in the next.
        self._visit = None
        if not self._stays.deny(visit.stays[track], problem, now):
            return None
        return visit.attempt(self._thresholds, now, problem, votes)

    def _admit(self, visit: Visit, track: int, votes: list[Vote], now: float) -> AccessAttempt:
        """Let a person in; the others in view begin a visit of their own."""
        person = votes[-1].person
        self.lockout.clear()
        self._stays.forget()
        attempt = visit.attempt(self._thresholds, now, None, votes)
        self._guests.admit(person, track, visit, now)
        self._visit = self._asking = None
        return attempt

    def _refuse(self, visit: Visit, now: float, *, stayed: bool) -> AccessAttempt | None:
        """Refuse a visit whose time is up, or whose faces have gone."""
        if self.lockout.locked(now):
            return self._tell(visit, now, Problem.LOCKED_OUT)
        self._stays.count(visit.stays.values(), now)
        if stayed and any(s.looks >= self._policy.quorum for s in visit.stays.values()):
            self.lockout.loiter(now)
        return self._tell(visit, now, visit.reason())

    def _tell(self, visit: Visit, now: float, problem: Problem) -> AccessAttempt | None:
        """Say why a visit is refused, unless it was said of everybody in it."""
        if visit.is_told:
            return None
        for stay in visit.stays.values():
            stay.told.add(problem)
        return visit.attempt(self._thresholds, now, problem)
