"""The kinds of visits: a living person, and attacks with a picture of one. Frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from training.common.camera import to_linear, to_srgb
from training.liveness.visits.camera import PERIOD, SIZE, Camera, draw_camera, place, walk
from training.liveness.visits.head import Look, living, pose, smooth
from training.liveness.visits.objects import (
    Flat,
    Held,
    corners,
    draw_screen,
    mask,
    paste,
    sheet,
)
from training.liveness.visits.people import Person

FRAMES = 10

Looks = Callable[[float], Look]
Lamp = Callable[[float], float]
"""Seconds -> how many times brighter a lamp at the door makes what stands before it."""


def _off(_: float) -> float:
    return 1.0


@dataclass(frozen=True)
class Visit:
    """One visit to be rendered; all chance comes from `generator`."""

    kind: str
    person: Person
    light: str
    generator: np.random.Generator
    frames: int = FRAMES
    looks: Looks | None = None
    """How a living visitor, or one in a replayed video, looks; by chance without."""
    lamp: Lamp = _off
    video: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    """Real frames uint8[H,W,3] and their face's box, for a replay of them."""


def render(visit: Visit) -> Iterator[np.ndarray]:
    """Yield the frames, uint8[360,480,3], PERIOD seconds apart."""
    camera = draw_camera(visit.light, visit.generator)
    yield from RENDERERS[visit.kind](visit, camera)


def _wander(generator: np.random.Generator, size: float) -> Callable[[float], np.ndarray]:
    x, y = smooth(generator, size), smooth(generator, size * 0.4)
    return lambda t: np.array([x(t), y(t)])


def _lit(light: np.ndarray, cover: np.ndarray, lamp: float) -> np.ndarray:
    """Light what is near by the lamp, and what is behind by a fifth of that."""
    if lamp == 1:
        return light
    gain = 1 + (lamp - 1) * (0.2 + 0.8 * cover[..., None])
    lit: np.ndarray = light * gain.astype(np.float32)
    return lit


def _alive(visit: Visit, camera: Camera) -> Iterator[np.ndarray]:
    generator, person = visit.generator, visit.person
    behind = place(generator)
    face = generator.uniform(55, 105)
    way = walk(generator, _wander(generator, face * generator.uniform(0.03, 0.25)))
    looks = visit.looks or living(generator)
    gain = np.float32(np.exp(generator.normal(0, 0.15)))
    for number in range(visit.frames):
        t = number * PERIOD
        light = behind.copy()
        posed = pose(person, looks(t), face * way.near(t) / person.width)
        cover = _stand(light, posed.rgb, posed.alpha, way.middle(t) - posed.middle, gain)
        yield camera.take(_lit(light, cover, visit.lamp(t)), generator)


def _stand(
    light: np.ndarray, rgb: np.ndarray, alpha: np.ndarray, at: np.ndarray, gain: np.float32
) -> np.ndarray:
    """Put a person before a place, in whole pixels; their lowest row goes on to the ground."""
    cover = np.zeros(light.shape[:2], np.float32)
    left, top = round(float(at[0])), round(float(at[1]))
    below = light.shape[0] - (top + alpha.shape[0])
    if below > 0:
        rgb = np.concatenate([rgb, np.repeat(rgb[-1:], below, axis=0)])
        alpha = np.concatenate([alpha, np.repeat(alpha[-1:], below, axis=0)])
    rows = slice(max(top, 0), min(top + alpha.shape[0], light.shape[0]))
    columns = slice(max(left, 0), min(left + alpha.shape[1], light.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return cover
    down = slice(rows.start - top, rows.stop - top)
    part = (down, slice(columns.start - left, columns.stop - left))
    cover[rows, columns] = alpha[part]
    person = to_linear(np.rint(np.clip(rgb[part], 0, 255)).astype(np.uint8)) * gain
    mixed = cover[rows, columns][..., None]
    light[rows, columns] = light[rows, columns] * (1 - mixed) + person * mixed
    return cover


@dataclass(frozen=True)
class _Hand:
    """How an attacker holds a thing: still at times, mostly swaying, sometimes waving it about."""

    held: Held
    wander: Callable[[float], np.ndarray]


def _hand(generator: np.random.Generator, face: float) -> _Hand:
    leans = generator.random() < 0.15
    size = 0.0 if leans else float(np.exp(generator.uniform(np.log(0.03), np.log(0.5))))
    angles = [
        smooth(generator, 0.0 if leans else float(generator.uniform(0.02, degrees)))
        for degrees in (0.35, 0.25, 0.1)
    ]
    rest = generator.normal(0, (0.12, 0.1, 0.05))
    yaw, pitch, roll = (
        (lambda t, a=angle, b=float(offset): a(t) + b)
        for angle, offset in zip(angles, rest, strict=True)
    )
    held = Held(yaw, pitch, roll, float(generator.uniform(4, 9)))
    wander = _wander(generator, face * size)
    return _Hand(held, wander)


def _held(
    visit: Visit,
    camera: Camera,
    things: Iterator[Flat],
    shine: Callable[[np.ndarray, float, float], np.ndarray],
    *,
    glows: bool,
) -> Iterator[np.ndarray]:
    """Hold a thing, another one each frame, before a place. `shine` is what its surface adds."""
    generator = visit.generator
    behind = place(generator)
    face = generator.uniform(55, 105)
    hand = _hand(generator, face)
    way = walk(generator, hand.wander)
    for number, thing in zip(range(visit.frames), things, strict=False):
        t = number * PERIOD
        light = behind.copy()
        to = corners(thing, hand.held, t, way.middle(t), face * way.near(t))
        surface = shine(thing.light, hand.held.yaw(t), hand.held.pitch(t))
        lamp = visit.lamp(t)
        if glows:  # what glows is no brighter for a lamp: glass gives back a twenty-fifth of it
            surface = surface / np.float32(1 + (lamp - 1)) + np.float32(0.04 * (1 - 1 / lamp))
        cover = paste(light, surface, thing.alpha, to)
        yield camera.take(_lit(light, cover, lamp), generator)


def _shine(
    generator: np.random.Generator, most: float
) -> Callable[[np.ndarray, float, float], np.ndarray]:
    """Return a lamp's reflection, which moves over the surface as it is turned."""
    strength = generator.uniform(0, most) if generator.random() < 0.5 else 0.0
    at = generator.uniform(-0.2, 1.2, 2)
    reach = np.exp(generator.uniform(np.log(0.08), np.log(0.5)))

    def shine(light: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
        if not strength:
            return light
        height, width = light.shape[:2]
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        u = x / width - at[0] - 2 * np.sin(yaw)
        v = y / height - at[1] - 2 * np.sin(pitch)
        spot = np.exp(-(u * u + v * v) / (2 * reach * reach))[..., None]
        added: np.ndarray = light + np.float32(strength) * spot
        return added

    return shine


def _print(visit: Visit, camera: Camera) -> Iterator[np.ndarray]:
    thing = sheet(visit.person, visit.generator)
    shine = _shine(visit.generator, 0.4)
    yield from _held(visit, camera, iter([thing] * visit.frames), shine, glows=False)


def _cutout(visit: Visit, camera: Camera) -> Iterator[np.ndarray]:
    """Hold a cut-out before a face; half have holes, behind which eyes blink."""
    thing = mask(visit.person, visit.generator)
    holes = visit.generator.random() < 0.5
    looks = living(visit.generator)

    def things() -> Iterator[Flat]:
        eyes = replace(visit.person, rgb=to_srgb(thing.light))
        for number in range(visit.frames):
            if not holes:
                yield thing
                continue
            blink = Look(blink=looks(number * PERIOD).blink)
            rgb = pose(eyes, blink, 1.0).rgb
            yield replace(thing, light=to_linear(np.rint(np.clip(rgb, 0, 255)).astype(np.uint8)))

    yield from _held(visit, camera, things(), _shine(visit.generator, 0.4), glows=False)


def _wall(visit: Visit, camera: Camera) -> Iterator[np.ndarray]:
    """Hang a framed photograph on the wall: nothing moves but the camera's noise."""
    generator = visit.generator
    picture = sheet(visit.person, generator)
    around = int(generator.uniform(0.05, 0.2) * picture.face[2])
    frame = np.float32(generator.choice([0.01, 0.1, 0.6]))
    light = np.pad(picture.light, ((around,) * 2, (around,) * 2, (0, 0)), constant_values=frame)
    x, y, width = picture.face
    hung = Flat(light, np.ones(light.shape[:2], np.float32), (x + around, y + around, width))
    lean = float(generator.uniform(-0.4, 0.4))
    held = Held(lambda _: lean, lambda _: 0.0, lambda _: 0.0, float(generator.uniform(4, 9)))
    face, place_of = generator.uniform(45, 105), generator.uniform((0.35, 0.38), (0.65, 0.55))
    behind = place(generator)
    paste(behind, hung.light, hung.alpha, corners(hung, held, 0.0, np.array(SIZE) * place_of, face))
    for _ in range(visit.frames):
        yield camera.take(behind, generator)


def _still(visit: Visit, camera: Camera) -> Iterator[np.ndarray]:
    screen = draw_screen(visit.generator)
    thing = screen.show(visit.person.rgb, visit.person.box, max(camera.focus, 0.3))
    shine = _shine(visit.generator, 0.3)
    yield from _held(visit, camera, iter([thing] * visit.frames), shine, glows=True)


def _replay(visit: Visit, camera: Camera) -> Iterator[np.ndarray]:
    """Show a video on a phone: real frames if there are some, or else the person come alive."""
    screen = draw_screen(visit.generator)
    focus = max(camera.focus, 0.3)

    def things() -> Iterator[Flat]:
        if visit.video:
            first = visit.video[0][1]
            for rgb, _ in visit.video:
                # The phone shows one part of the video all the time; the face moves in it.
                yield screen.show(rgb, first, focus)
            return
        person = visit.person
        looks = visit.looks or living(visit.generator)
        alone = np.clip(person.matte * 1.5, 0, 1)[..., None]
        for number in range(visit.frames):
            posed = pose(person, looks(number * PERIOD), 1.0)
            # The picture's own background stays, but where the head left it the head's edge does.
            shown = np.where(alone > posed.alpha[..., None], posed.rgb, person.rgb)
            mixed = posed.alpha[..., None]
            shown = shown * (1 - mixed) + posed.rgb * mixed
            rgb = np.rint(np.clip(shown, 0, 255)).astype(np.uint8)
            yield screen.show(rgb, person.box, focus)

    yield from _held(visit, camera, things(), _shine(visit.generator, 0.3), glows=True)


RENDERERS: dict[str, Callable[[Visit, Camera], Iterator[np.ndarray]]] = {
    "living": _alive,
    "print": _print,
    "still": _still,
    "video": _replay,
    "cutout": _cutout,
    "wall": _wall,
}
