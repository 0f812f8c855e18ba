"""What hangs in view is no visitor, and whoever stands there is."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

import vision
from vision import Face, Fixture, Frame, Pipeline, Scene
from vision.tracking.fixture import FORGOTTEN_AFTER, GONE_AFTER
from vision.tracking.patch import change, cut_patch
from vision.tracking.place import LEARNT_AFTER, REST_AFTER
from vision.tracking.scene import MOST

from .conftest import PICTURES

WIDTH, HEIGHT = 640, 360


def portrait(name: str, height: int) -> Image.Image:
    image = Image.open(PICTURES / f"{name}.jpg").convert("RGB")
    return image.resize((round(image.width * height / image.height), height))


class Hall:
    """A wall before a camera, with what hangs on it; no two pictures have the same noise."""

    def __init__(self, seed: int, *, noise: float = 1.0, quality: int = 80) -> None:
        self.rng = np.random.default_rng(seed)
        wall = np.linspace(90, 150, WIDTH)[None, :] + np.zeros((HEIGHT, 1))
        wall += np.kron(self.rng.normal(0, 8, (HEIGHT // 6, WIDTH // 5)), np.ones((6, 5)))
        self.wall = Image.fromarray(wall.clip(0, 255).astype(np.uint8)).convert("RGB")
        self.noise = noise
        self.quality = quality
        self.light = 1.0

    def hang(self, name: str, height: int, at: tuple[int, int]) -> None:
        image = portrait(name, height)
        self.wall.paste(
            (60, 40, 20), (at[0] - 5, at[1] - 5, at[0] + image.width + 5, at[1] + height + 5)
        )
        self.wall.paste(image, at)

    def picture(
        self, *, walker: int | None = None, who: str | None = None, height: int = 300
    ) -> bytes:
        """Take a picture, with somebody who walks past, or who looks into the camera and moves."""
        canvas = self.wall.copy()
        if walker is not None:
            canvas.paste((50, 55, 60), (walker, 20, walker + 90, HEIGHT))
        if who is not None:
            size = round(height * self.rng.uniform(0.96, 1.04))
            shift = self.rng.uniform(-8, 8, 2)
            canvas.paste(portrait(who, size), (round(330 + shift[0]), round(30 + shift[1])))
        noise = self.rng.normal(0, self.noise, (HEIGHT, WIDTH, 3))
        pixels = np.asarray(canvas) * self.light + noise
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        return vision.encode_jpeg(np.asarray(image))


class Door:
    """A pipeline on a clock that a test moves on; the gate is held open for whoever is evidence."""

    def __init__(self, networks: vision.Bundle, hall: Hall, scene: Scene | None = None) -> None:
        templates = tuple(
            vision.examine(
                networks, vision.decode_rgb((PICTURES / f"{name}.jpg").read_bytes())
            ).template
            for name in ("obama", "obama2")
        )
        matcher = vision.gallery_matcher(networks, {"barack": templates})
        self.scene = Scene() if scene is None else scene
        self.pipeline = Pipeline(networks, matcher, scene=self.scene)
        self.hall = hall
        self.now = 1000.0

    def look(self, picture: bytes, after: float = 0.2) -> vision.Seen:
        self.now += after
        seen = self.pipeline.look(picture, self.now, in_visit=False)
        if seen.sighting is not None and seen.sighting.evidence:
            self.pipeline.keep_open(self.now)
        return seen

    def wait(self, pictures: int, after: float, **shown: object) -> list[vision.Evidence]:
        """Let time pass; return all that was evidence."""
        found = []
        for _ in range(pictures):
            seen = self.look(self.hall.picture(**shown), after)
            found += [] if seen.sighting is None else seen.sighting.evidence
        return found

    def walk_past(self) -> list[vision.Evidence]:
        found = []
        for x in range(-80, WIDTH, 60):
            seen = self.look(self.hall.picture(walker=x))
            assert x <= 0 or seen.motion.open
            found += [] if seen.sighting is None else seen.sighting.evidence
        return found

    def learn(self) -> None:
        """Let the scene be learnt, which takes a quarter of an hour."""
        assert not self.wait(3, 1.0)
        assert not self.wait(LEARNT_AFTER, 61.0)
        assert self.scene.fixtures


@pytest.fixture(scope="module")
def networks() -> vision.Bundle:
    return dataclasses.replace(vision.load_bundle(), presence=None)


VARIANTS = {
    "small": ("obama3", 130, (60, 40), 1.0, 1.0),
    "large": ("obama3", 260, (30, 40), 1.0, 1.0),
    "middle": ("obama3", 180, (230, 90), 1.0, 1.0),
    "right": ("obama3", 160, (480, 60), 1.0, 1.0),
    "at the border": ("obama3", 160, (0, 195), 1.0, 1.0),
    "grainy": ("obama3", 180, (60, 60), 4.0, 1.0),
    "no noise": ("obama3", 180, (60, 60), 0.4, 1.0),
    "dim": ("obama3", 180, (60, 60), 2.0, 0.5),
    "the enrolled picture": ("obama", 200, (90, 60), 1.0, 1.0),
    "another one": ("obama2", 200, (90, 60), 1.0, 1.0),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_framed_photograph_is_no_evidence_when_somebody_walks_past(networks, variant):
    name, height, at, noise, light = VARIANTS[variant]
    hall = Hall(1, noise=noise)
    hall.hang(name, height, at)
    hall.light = light
    door = Door(networks, hall)
    first = door.look(hall.picture())
    assert first.sighting.fixtures
    assert not first.sighting.evidence
    assert not door.wait(9, 1.0)
    assert not door.walk_past()
    last = door.look(hall.picture())
    assert last.sighting.fixtures
    assert not last.sighting.evidence


def test_a_photograph_neither_holds_the_gate_open_nor_is_searched_for_all_the_time(networks):
    hall = Hall(2)
    hall.hang("biden", 200, (60, 60))
    door = Door(networks, hall)
    door.wait(10, 1.0)
    seen = [door.look(hall.picture(), 1.0) for _ in range(61)]
    assert not any(one.motion.open for one in seen)
    assert sum(one.sighting is not None for one in seen) == 1


def test_what_somebody_hung_up_is_part_of_the_scene_once_it_kept_still_for_a_minute(networks):
    hall = Hall(3)
    door = Door(networks, hall)
    door.wait(7, 1.0)
    hall.hang("biden", 200, (60, 60))
    assert door.wait(10, 0.5)
    door.wait(round(REST_AFTER / 2), 2.0)
    seen = [door.look(hall.picture(), 1.0) for _ in range(12)]
    assert not any(one.sighting.evidence for one in seen if one.sighting is not None)
    assert not seen[-1].motion.open


def test_what_was_learnt_is_known_after_a_restart_in_other_light_while_somebody_passes(networks):
    hall = Hall(4)
    hall.hang("obama3", 200, (60, 60))
    door = Door(networks, hall)
    door.learn()
    kept = json.loads(json.dumps([fixture.as_plain() for fixture in door.scene.fixtures]))

    hall.light = 0.6
    scene = Scene(Fixture.of(plain) for plain in kept)
    again = Door(networks, hall, scene)
    for x in range(250, WIDTH, 60):
        scene.moved(again.now)
        seen = again.look(hall.picture(walker=x))
        assert seen.sighting.fixtures
        assert not seen.sighting.evidence


def test_the_owner_before_their_own_portrait_is_evidence_at_once(networks):
    hall = Hall(5)
    hall.hang("obama3", 160, (60, 60))
    door = Door(networks, hall)
    door.learn()
    found = door.wait(6, 0.2, who="obama3")
    assert [evidence.match.person for evidence in found] == ["barack"] * 6


def test_another_face_at_the_place_of_a_portrait_is_evidence(networks):
    hall = Hall(6)
    hall.hang("biden", 200, (60, 60))
    door = Door(networks, hall)
    door.learn()
    hall.hang("obama3", 200, (60, 60))
    door.look(hall.picture(walker=400))
    assert door.wait(2, 0.2, walker=500)


# Without networks: a face that is where a test says.

FACE = Face(
    (60.0, 50.0, 140.0, 150.0),
    np.array([[80, 90], [120, 90], [100, 110], [84, 128], [116, 128]], np.float32),
    0.9,
)
MODEL = "model"


def direction(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=64)
    return np.append(vector / np.linalg.norm(vector), 0.2).astype(np.float32)


class Wall:
    """Draws a face in a picture 200 pixels wide and shows it to a scene."""

    def __init__(self, scene: Scene | None = None) -> None:
        self.rng = np.random.default_rng(20261126)
        self.scene = Scene() if scene is None else scene
        self.wall = np.full((200, 200, 3), (130.0, 120.0, 110.0)) + self.rng.normal(
            0, 6, (200, 200, 1)
        )
        drawn = portrait("obama", 140)
        self.drawn = np.asarray(drawn.crop((0, 0, 112, 140)), dtype=float)
        self.noise = self.rng.normal(0, 1.5, (264, 264, 3))
        self.serial = 0
        self.now = 500.0

    def draw(self, x: float | None = 0.0, light: float = 1.0) -> Frame:
        """Draw the face ``x`` pixels to the right of its place, None: no face."""
        canvas = self.wall.copy()
        if x is not None:
            image = Image.fromarray(self.drawn.astype(np.uint8))
            moved = image.transform(
                image.size, Image.Transform.AFFINE, (1, 0, -x, 0, 1, 0), Image.Resampling.BICUBIC
            )
            canvas[30:170, 44:156] = np.asarray(moved)
        left, top = self.rng.integers(0, 64, 2)
        noisy = canvas * light + self.noise[top : top + 200, left : left + 200]
        pixels = noisy.clip(0, 255).astype(np.uint8)
        self.serial += 1
        pixels[0, :3, 0] = np.frombuffer(self.serial.to_bytes(3, "big"), np.uint8)
        return Frame(pixels, self.now)

    def show(
        self,
        after: float,
        frame: Frame | None = None,
        *faces: Face,
        embedding: np.ndarray | None = None,
        idle: bool = False,
    ) -> list[bool]:
        """Say of each face whether it is part of the scene; without a face nothing is found."""
        self.now += after
        frame = self.draw() if frame is None else frame
        frame = Frame(frame.rgb, self.now)
        known = direction(1) if embedding is None else embedding
        still = self.scene.still(frame, faces, MODEL)
        rest = [face for face, pinned in zip(faces, still, strict=True) if not pinned]
        others = iter(self.scene.known(rest, [known] * len(rest), MODEL, idle=idle))
        return [pinned or next(others) for pinned in still]

    def learn(self) -> None:
        for _ in range(LEARNT_AFTER + 1):
            assert self.show(60.0, None, FACE, idle=True) == [True]
        assert len(self.scene.fixtures) == 1


def moved(face: Face, x: float) -> Face:
    x1, y1, x2, y2 = face.box
    return Face((x1 + x, y1, x2 + x, y2), face.landmarks + np.array((x, 0), np.float32), face.score)


def test_a_shift_of_a_small_part_of_a_pixel_is_measured():
    wall = Wall()
    anchor = cut_patch(wall.draw().rgb, FACE.box)
    for pixels in (0.0, 0.4, 0.8, 1.6):
        found = change(cut_patch(wall.draw(pixels).rgb, FACE.box), anchor)
        assert found.shift * FACE.width == pytest.approx(pixels, abs=0.1 + 0.15 * pixels)


def test_whoever_stands_still_for_ten_minutes_is_no_furniture():
    wall = Wall()
    wall.scene.moved(wall.now)
    x = 0.0
    for _ in range(600):
        # They sway by one or two percent of the face's width: 2 mm.
        x = 0.9 * x + wall.rng.normal(0, 0.5)
        assert wall.show(1.0, wall.draw(x), moved(FACE, x)) == [False]
    assert not wall.scene.fixtures


def test_whoever_is_there_at_the_start_is_a_visitor_once_they_move():
    wall = Wall()
    assert wall.show(0.2, None, FACE) == [True]
    answers = []
    for number in range(20):
        x = 1.0 + (number % 5)
        answers += wall.show(0.2, wall.draw(x), moved(FACE, x))
    assert not answers[-1]
    assert answers.index(False) * 0.2 <= 3.0


def test_whoever_comes_nearer_is_a_visitor_at_once_though_nothing_seemed_to_move():
    wall = Wall()
    assert wall.show(0.2, None, FACE) == [True]
    wall.scene.moved(wall.now)
    assert wall.show(0.2, wall.draw(20.0), moved(FACE, 20.0)) == [False]


def test_whoever_looks_up_again_is_no_furniture():
    wall = Wall()
    wall.scene.moved(wall.now)
    assert wall.show(0.2, None, FACE) == [False]
    assert wall.show(30.0, wall.draw(None)) == []
    assert wall.show(1.0, None, FACE) == [False]


def test_a_lamp_that_comes_on_does_not_wake_what_hangs_there():
    wall = Wall()
    wall.show(60.0, None, FACE)
    lit = np.linspace(1.7, 0.5, 200)[None, :, None]
    for number in range(60):
        frame = wall.draw()
        share = min(number / 4, 1.0)
        pixels = frame.rgb * (1 - share + share * lit)
        frame = Frame(pixels.clip(0, 255).astype(np.uint8), frame.taken_at)
        assert wall.show(0.2, frame, FACE) == [True]


def test_a_frozen_picture_is_no_proof_that_nothing_moves():
    wall = Wall()
    wall.scene.moved(wall.now)
    frozen = wall.draw()
    for _ in range(1000):
        assert wall.show(1.0, frozen, FACE) == [False]


def test_it_hangs_there_no_more_once_ten_looks_did_not_find_it_and_is_forgotten_later():
    wall = Wall()
    wall.learn()
    version = wall.scene.version
    for number in range(1, FORGOTTEN_AFTER + 1):
        wall.show(60.0, wall.draw(None), idle=True)
        shown = [fixture.in_view for fixture in wall.scene.fixtures]
        assert shown == ([] if number == FORGOTTEN_AFTER else [number < GONE_AFTER])
    assert wall.scene.version == version + 2


def test_it_hangs_there_again():
    wall = Wall()
    wall.learn()
    for _ in range(GONE_AFTER):
        wall.show(60.0, wall.draw(None), idle=True)
    wall.scene.moved(wall.now)
    assert wall.show(0.2, None, FACE) == [True]
    assert [fixture.in_view for fixture in wall.scene.fixtures] == [True]


@pytest.mark.parametrize(
    "why", ["night", "infrared", "somebody before it", "not found", "not idle"]
)
def test_it_is_not_gone_because_it_cannot_be_seen(why):
    wall = Wall()
    wall.learn()
    for _ in range(3 * GONE_AFTER):
        frame, faces = wall.draw(None), ()
        if why == "night":
            frame = wall.draw(None, light=0.1)
        elif why == "infrared":
            frame = Frame(np.repeat(wall.draw(None).rgb[..., :1], 3, axis=2), 0.0)
        elif why == "somebody before it":
            faces = (moved(FACE, 40.0),)
            wall.scene.moved(wall.now)
        elif why == "not found":
            frame = wall.draw()
        wall.show(60.0, frame, *faces, embedding=direction(2), idle=why != "not idle")
    assert [fixture.missed for fixture in wall.scene.fixtures] == [0]


def test_it_is_gone_though_it_had_the_only_colours_but_only_after_a_day():
    wall = Wall()
    wall.learn()
    grey = (np.repeat(wall.draw(None).rgb[..., :1], 3, axis=2) for _ in iter(int, 1))
    for hours in range(2, 21, 2):
        for _ in range(2):
            wall.show(3600.0, Frame(next(grey), 0.0), idle=True)
        assert [fixture.in_view for fixture in wall.scene.fixtures] == [hours < 20]


def test_a_face_at_rest_that_went_is_forgotten_soon():
    wall = Wall()
    assert wall.show(60.0, None, FACE, idle=True) == [True]
    for _ in range(2):
        wall.show(60.0, wall.draw(None), idle=True)
    wall.scene.moved(wall.now)
    assert wall.show(0.2, None, FACE) == [False]


def test_a_picture_of_another_size_shows_the_same_scene():
    wall = Wall()
    wall.learn()
    wall.scene.moved(wall.now)
    small = wall.draw()
    large = Frame(np.asarray(Image.fromarray(small.rgb).resize((400, 400))), small.taken_at)
    twice = Face(tuple(2 * side for side in FACE.box), 2 * FACE.landmarks, FACE.score)
    assert wall.show(0.2, large, twice) == [True]


def test_no_more_is_remembered_than_may_be():
    fixture = next(iter(_learnt().fixtures))
    scene = Scene([fixture] * (2 * MOST))
    assert len(scene.fixtures) == MOST


def _learnt() -> Scene:
    wall = Wall()
    wall.learn()
    return wall.scene


def test_what_is_remembered_is_read_again():
    fixture = _learnt().fixtures[0]
    again = Fixture.of(json.loads(json.dumps(fixture.as_plain())))
    assert again.as_plain() == fixture.as_plain()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("box", [0.1, 0.1, 0.2]),
        ("box", [0.3, 0.1, 0.2, 0.2]),
        ("box", [0.1, 0.1, float("nan"), 0.2]),
        ("box", [0.1, 0.1, 1e300, 0.2]),
        ("box", [True, 0.1, 0.3, 0.2]),
        ("box", 7),
        ("landmarks", [0.1] * 9),
        ("landmarks", ["0.1"] * 10),
        ("patch", "AAAA"),
        ("patch", "no base64"),
        ("patch", None),
        ("grey", 1),
        ("embedding", "AAAA"),
        ("embedding", "AAAAAAAAAAA="),
        ("embedding", 3),
        ("model", None),
        ("looks", -1),
        ("looks", 1.5),
        ("looks", True),
        ("looks", 10**30),
        ("missed", FORGOTTEN_AFTER + 1),
    ],
)
def test_what_is_no_fixture_is_refused(key, value):
    plain = _learnt().fixtures[0].as_plain()
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        Fixture.of({**plain, key: value})


@pytest.mark.parametrize("plain", [None, [], "fixture", 1, {}])
def test_what_is_not_even_like_a_fixture_is_refused(plain):
    with pytest.raises(ValueError, match="not a fixture"):
        Fixture.of(plain)
