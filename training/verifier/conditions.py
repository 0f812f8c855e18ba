"""Pictures of people never trained on, embedded in every condition that is measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.verifier import gallery, metrics
from training.verifier.augment import in_condition
from training.verifier.config import Config
from training.verifier.embedders import Embed
from training.verifier.gallery import Protocol

CLEAN = "clean"
LIGHTING = "lighting"


@dataclass(frozen=True)
class Measured:
    """Embeddings of one condition, so that trials of any kind can be made of them.

    `enrolled` float32 [E, D + 1] are the pictures that make templates, `probe` [M, D + 1] those
    shown to the door; `enrolled_row` and `probe_row` are their rows of `shown`.
    """

    condition: str
    shown: Protocol
    enrolled: np.ndarray
    enrolled_row: np.ndarray
    probe: np.ndarray
    probe_row: np.ndarray

    @property
    def enrolled_person(self) -> np.ndarray:
        """Whose the enrolled pictures are, int [E]."""
        return self.shown.person[self.enrolled_row]

    @property
    def probe_person(self) -> np.ndarray:
        """Whose the probes are, int [M]."""
        return self.shown.person[self.probe_row]

    @property
    def people(self) -> int:
        """Number of people, enrolled or not."""
        return len(self.shown.names)

    def trials(self, *, source: str = "", pairs: bool = False) -> metrics.Trials:
        """Compare probes with enrolled people, or with single pictures of them (`pairs`).

        `source` keeps people and probes of one source (a prefix) only.
        """
        ours = np.char.startswith(self.shown.source[self.enrolled_row], source)
        theirs = np.char.startswith(self.shown.source[self.probe_row], source)
        pictures, person = self.enrolled[ours], self.enrolled_person[ours]
        if pairs:
            _, first = np.unique(person, return_index=True)
            templates, owners = pictures[first], person[first]
        else:
            templates, owners = gallery.templates(pictures, person)
        return metrics.collect(
            templates, owners, self.probe[theirs], self.probe_person[theirs], people=self.people
        )


def acceptable(config: Config, crops: np.ndarray, face_px: np.ndarray) -> np.ndarray:
    """Which crops the door would take as evidence: bool [N]. An unknown width passes."""
    limits = config.calibrate
    brightness, sharpness = gallery.qualities(crops)
    return (
        (brightness >= limits.min_brightness)
        & (sharpness >= limits.min_sharpness)
        & ~(face_px < limits.min_face_px)
    )


def measure(config: Config, embed: Embed, shown: Protocol) -> Iterator[Measured]:
    """Embed pictures in every condition, leaving out what the door would not take.

    A condition is that of the probe, with clean pictures enrolled, or `probe/enrolled`.
    """
    seen: dict[tuple[str, bool], tuple[np.ndarray, np.ndarray]] = {}

    def look(condition: str, enrolled: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows the door would take, and their embeddings; each made once."""
        if (condition, enrolled) not in seen:
            rows = np.nonzero(shown.enrolled == enrolled)[0]
            crops = in_condition(shown.crops[rows], condition, noise_seed(config, enrolled))
            usable = acceptable(config, crops, shown.face_px[rows])
            if not usable.any():
                raise ValueError(f"no picture of {condition} is good enough to be measured")
            seen[condition, enrolled] = rows[usable], embed(crops[usable])
        return seen[condition, enrolled]

    for condition in config.evaluate.conditions:
        probe_condition, _, enrolled_condition = condition.partition("/")
        probe_row, probe = look(probe_condition, enrolled=False)
        enrolled_row, enrolled = look(enrolled_condition or CLEAN, enrolled=True)
        yield Measured(condition, shown, enrolled, enrolled_row, probe, probe_row)


def noise_seed(config: Config, enrolled: bool) -> int:
    """Return the seed of simulated noise: enrolled and probe pictures never share it."""
    return config.evaluate.seed + int(enrolled)


def measure_lighting(config: Config, embed: Embed) -> Measured | None:
    """Embed the pack of real lamps: frontal light enrolled, all other lamps as probes."""
    if not config.evaluate.lighting_pack:
        return None
    shown, _ = gallery.load_lighting(
        Path(config.data) / config.evaluate.lighting_pack, config.evaluate.seed
    )
    usable = acceptable(config, shown.crops, shown.face_px)
    known = np.nonzero(shown.enrolled & usable)[0]
    probes = np.nonzero(~shown.enrolled & usable)[0]
    return Measured(
        LIGHTING, shown, embed(shown.crops[known]), known, embed(shown.crops[probes]), probes
    )
