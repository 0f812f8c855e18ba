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
from .hearing import Hearing, Hearings, Ruling
from .lockout import Lockout
from .policy import CLEAR, Circumstances, DecisionPolicy, Judge
from .stays import Stays
from .visit import Visit
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
        self._now = self._last_face_at = NEVER
        self._hearings = Hearings(judge, policy)
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

    @property
    def hearing(self) -> Hearing | None:
        """What the judge is to be asked; see ``heard``."""
        return self._hearings.next

    def heard(
        self,
        hearing: Hearing,
        problem: Problem | None,
        now: float,
        circumstances: Circumstances = CLEAR,
    ) -> AccessAttempt | None:
        """Take what the judge said of a ``hearing``; return the attempt that this decided, if any.

        Everything is asked again as it is ``now``: visit, quorum, age of the frames, lockout, who
        is barred. Where other frames count by then, there is another hearing.
        """
        stepped_back = now < self._now
        ended = self.tick(now)
        called = self._hearings.end(hearing)
        if ended is not None or not called or stepped_back or not isfinite(now):
            return ended
        ruling = Ruling(hearing, problem)
        return self._decide(hearing.visit, hearing.track, now, circumstances, ruling)

    def observe(
        self,
        sighting: Sighting,
        now: float,
        circumstances: Circumstances = CLEAR,
        *,
        defer: bool = False,
    ) -> AccessAttempt | None:
        """Take what one frame showed, at monotonic ``now``; return the attempt it decided.

        With ``defer`` the caller asks the judge, and says before the next frame what was ``heard``.
        """
        attempt = self._observe(sighting, now, circumstances)
        while not defer and attempt is None and (hearing := self.hearing) is not None:
            attempt = self.heard(hearing, hearing.judge(), now, circumstances)
        return attempt

    def _observe(
        self, sighting: Sighting, now: float, circumstances: Circumstances
    ) -> AccessAttempt | None:
        self._hearings.clear()
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
        visit.circumstances = circumstances
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
        self._hearings.clear()
        return self._refuse(visit, now, stayed=not gone)

    def stop(self, problem: Problem, now: float) -> AccessAttempt | None:
        """End a running visit because nothing more will come, and drop all evidence."""
        visit, self._visit, self._asking = self._visit, None, None
        self._hearings.clear()
        self._guests.stop()
        if visit is None:
            return None
        if problem is Problem.CAMERA_LOST and isfinite(now):
            # Otherwise whoever can disturb the camera has tried nothing.
            self._stays.count(visit.stays.values(), now)
        return visit.tell(self._thresholds, max(visit.started_at, now), problem)

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
        self._hearings.clear()
        self._stays.clear()
        self._guests.reset(now)
        self._now = self._last_face_at = now
        self._asked_at = min(self._asked_at, now)
        stale = Problem.STALE_FRAMES
        return None if visit is None else visit.tell(self._thresholds, visit.started_at, stale)

    def _asks(self, shot: Shot, seen: Iterable[Evidence], now: float) -> bool:
        """Whether to ask now: at any first usable face, and not again for a while."""
        return (
            self._ask is not None
            and (self._visit is None or self._visit.asking is None)
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
                            visit, track, evidence.face, match, embedding, self._voting, self._now
                        )
            if problem is None:
                voted.append(track)
            visit.note(track, evidence, shot.taken_at, match, problem, distinct=shot.distinct)
        return voted

    def _decide(
        self,
        visit: Visit,
        track: int,
        now: float,
        circumstances: Circumstances,
        ruling: Ruling | None = None,
    ) -> AccessAttempt | None:
        """Grant or deny if the quorum of ``track``, which has just voted, is complete.

        Without the judge's ``ruling`` on what the face shows, have a hearing.
        """
        votes = visit.quorum(track, now, self._policy)
        # Another face in this very frame may have been one too many.
        if not votes or self.lockout.locked(now):
            return None
        person = votes[-1].person
        asks, begins = self._ask is not None, self._judge is None or ruling is not None
        objection, waits = visit.standing(
            track, person, now, circumstances, self._policy, asks=asks, begins=begins
        )
        if not self._hearings.is_judged(ruling, visit, track, now, waits=waits):
            return None
        problem = (ruling and ruling.problem) or (None if waits else objection)
        if problem is None:
            # Another camera may have let the person in while the judge was heard.
            if waits or self._guests.is_let_in(person, now):
                return None
            self.lockout.clear()
            self._stays.forget()
            attempt = visit.attempt(self._thresholds, now, None, votes)
            self._guests.admit(person, track, visit, now)
            self._visit = self._asking = None
            self._hearings.clear()
            return attempt
        # No second try in this visit, nor immediately in the next.
        self._visit = None
        if not self._stays.deny(visit.stays[track], problem, now):
            return None  # nothing is told: another face in the same frame may still be decided on
        self._hearings.clear()
        return visit.attempt(self._thresholds, now, problem, votes)

    def _refuse(self, visit: Visit, now: float, *, stayed: bool) -> AccessAttempt | None:
        """Refuse a visit whose time is up, or whose faces have gone."""
        if self.lockout.locked(now):
            return visit.tell(self._thresholds, now, Problem.LOCKED_OUT)
        self._stays.count(visit.stays.values(), now)
        if stayed and any(s.looks >= self._policy.quorum for s in visit.stays.values()):
            self.lockout.loiter(now)
        return visit.tell(self._thresholds, now, visit.reason())
