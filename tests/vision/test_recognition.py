"""What becomes of a frame, with made-up networks that tell a frame from the mean of several."""

from types import SimpleNamespace

import numpy as np
import pytest

from vision import Face, Frame, Matcher, Problem, Stacker, Template, recognise
from vision.imaging.align import TEMPLATE
from vision.tracking.stacking import FEWEST

ANNA, BEN, NOBODY = np.eye(4, dtype=np.float32)[:3]
PEOPLE = Matcher({"anna": (Template(ANNA, "m"),), "ben": (Template(BEN, "m"),)}, model="m")
FACE = Face((20.0, 20.0, 132.0, 132.0), TEMPLATE + 20, 0.9)


class Networks:
    """A bundle that finds what it is told to find, and embeds frames and stacks as told."""

    def __init__(self, *, frame=NOBODY, stack=(ANNA, ANNA, ANNA)):
        self.faces = [FACE]
        self.problem = None
        self.frame, self.stack = frame, stack
        self.batches = []
        self.detector = SimpleNamespace(detect=lambda _: self.faces)
        self.quality = SimpleNamespace(problem=lambda _: self.problem)
        self.verifier = SimpleNamespace(embed=self.embed, model="m")
        self.liveness = self.antispoofing = self.upright = None

    def embed(self, crops):
        self.batches.append(crops)
        frames = sum(problem is None for problem in [self.problem] * len(self.faces))
        # First the frame's faces, then the means of their stacks.
        first = len(crops) == frames
        answers = [self.frame] * frames if first else list(self.stack) * (len(crops) // 3)
        return np.array(answers, np.float32).reshape(-1, 4)


class Film:
    def __init__(self, networks, *, level=40, cues_from=None):
        self.networks = networks
        self.stacker = Stacker()
        self.rng = np.random.default_rng(20261126)
        self.still = self.rng.integers(level // 2, level * 3 // 2, (20, 20, 3), np.uint8)
        self.cues_from = cues_from
        self.now = 8.0

    def take(self):
        """Take a frame of the same scene with noise of its own."""
        self.now += 0.25
        rgb = np.kron(self.still, np.ones((8, 8, 1), np.uint8))
        frame = Frame(rgb + self.rng.integers(0, 3, rgb.shape, np.uint8), self.now)
        return self.see(frame)

    def see(self, frame):
        return recognise(
            self.networks, PEOPLE, frame, cues_from=self.cues_from, stacker=self.stacker
        )

    def several(self, number):
        return [self.take() for _ in range(number)][-1]


def test_a_face_in_poor_light_has_a_look_once_there_are_frames_enough():
    film = Film(Networks(stack=(ANNA, BEN, NOBODY)))
    sightings = [film.take() for _ in range(FEWEST)]
    assert [sighting.evidence[0].look for sighting in sightings[:-1]] == [None] * (FEWEST - 1)
    (evidence,) = sightings[-1].evidence
    look = evidence.look
    assert (look.match.person, look.match.similarity) == ("anna", 1.0)
    assert (look.older.person, look.older.similarity) == ("ben", 1.0)
    assert look.newer.similarity == 0.0
    assert look.taken_at == tuple(sighting.taken_at for sighting in sightings)
    # The frame itself remains unchanged.
    assert (evidence.embedding == NOBODY).all()
    assert evidence.match.similarity == 0.0
    # The frame, and in one batch the three means of its stack.
    assert [len(batch) for batch in film.networks.batches] == [1] * FEWEST + [3]


def test_a_bright_face_is_recognised_by_itself():
    film = Film(Networks(), level=140)
    assert film.several(2 * FEWEST).evidence[0].look is None


def test_without_a_stacker_nothing_is_stacked():
    film = Film(Networks())
    film.stacker = None
    assert film.several(2 * FEWEST).evidence[0].look is None


def test_a_face_that_cannot_be_read_is_neither_embedded_nor_stacked():
    film = Film(Networks())
    film.several(FEWEST)
    film.networks.problem = Problem.BLURRED
    (evidence,) = film.take().evidence
    assert (evidence.problem, evidence.embedding) == (Problem.BLURRED, None)
    assert (evidence.match, evidence.look) == (None, None)
    unread = film.now
    film.networks.problem = None
    assert unread not in film.take().evidence[0].look.taken_at


def test_a_repeated_frame_is_in_no_stack():
    film = Film(Networks())
    film.several(FEWEST)
    rgb = np.kron(film.still, np.ones((8, 8, 1), np.uint8))
    for _ in range(2):
        film.now += 0.25
        again = film.see(Frame(rgb, film.now))
    assert again.evidence[0].look is None
    assert film.now not in film.take().evidence[0].look.taken_at


def test_each_of_several_faces_has_the_look_of_its_own_stack():
    networks = Networks()
    other = Face((220.0, 20.0, 332.0, 132.0), TEMPLATE + np.float32([220, 20]), 0.8)
    networks.faces = [FACE, other]
    film = Film(networks)
    film.still = np.hstack([film.still, film.rng.integers(20, 60, (20, 30, 3), np.uint8)])
    film.several(FEWEST - 1)
    networks.stack = (ANNA, ANNA, ANNA, BEN, BEN, BEN)
    first, second = film.take().evidence
    assert [first.look.match.person, second.look.match.person] == ["anna", "ben"]
    assert second.look.older.person == second.look.newer.person == "ben"


@pytest.mark.parametrize(
    ("frame", "stack", "measured"),
    [
        (NOBODY, ANNA, True),
        # The decision uses the frame when it does not count the stack.
        (ANNA, NOBODY, True),
        (ANNA, ANNA, True),
        (NOBODY, NOBODY, False),
    ],
)
def test_liveness_is_measured_where_the_frame_or_its_stack_resembles_somebody(
    frame, stack, measured
):
    film = Film(Networks(frame=frame, stack=(stack,) * 3), cues_from=0.5)
    (evidence,) = film.several(FEWEST).evidence
    assert evidence.look is not None
    assert (evidence.cues is not None) == measured
