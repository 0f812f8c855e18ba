"""Time what one more picture costs a household that has many: from the embedding to its effect.

    .venv/bin/python benchmarks/household.py [--people 50] [--pictures 5] [--rounds 20]

A real Home Assistant core with two doors, made-up templates of so many people, and one real
picture that is added to somebody's again and again. Printed are the embedding; how long after that
both doors recognise with the picture (nothing may be reloaded, decoded or hashed for it); and how
long it takes until it is on the disk as well. Exits with 1 if the median effect takes half a second
or more.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import MappingProxyType

import numpy as np
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_test_home_assistant

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from custom_components.face_lock import vision  # noqa: E402 - found by the path above
from custom_components.face_lock.const import DOMAIN  # noqa: E402
from custom_components.face_lock.people import people_of  # noqa: E402
from custom_components.face_lock.recognition import models  # noqa: E402
from tests.harness.devices import PICTURES, DoorCamera  # noqa: E402

DOORS = ("front", "garage")
LIMIT = 0.5
"""Seconds, for the effect."""


def album(bundle: vision.Bundle, rng: np.random.Generator, number: int) -> list[vision.Portrait]:
    """Make up the pictures of nobody, with crops of noise."""
    found = []
    for _ in range(number):
        direction = rng.normal(size=bundle.verifier.embedding_size - 1)
        embedding = np.append(direction / np.linalg.norm(direction), 0.4).astype(np.float32)
        crop = rng.integers(0, 255, (112, 112, 3), dtype=np.uint8)
        found.append(vision.Portrait(crop, vision.Template(embedding, bundle.verifier.model)))
    return found


def subentry(kind: str, name: str, **data: object) -> ConfigSubentry:
    """Make a door's or a person's subentry, with the name as its id."""
    return ConfigSubentry(
        data=MappingProxyType(data), subentry_type=kind, title=name, unique_id=name
    )


async def measure(
    hass: HomeAssistant, people: int, pictures: int, rounds: int
) -> list[list[float]]:
    """Return for each round the seconds of embedding, effect and writing."""
    bundle = vision.load_fastest_bundle()
    models.load_bundle = lambda *_: bundle
    await async_setup_component(hass, "camera", {})
    camera = DoorCamera()
    await hass.data["camera"].async_add_entities([camera])
    names = [f"person {number}" for number in range(people)]
    rate = {"false_positive_rate": "one_in_1000"}
    subentries = [
        *(subentry("door", name, cameras=[camera.entity_id], recognition=rate) for name in DOORS),
        *(subentry("person", name) for name in names),
    ]
    entry = MockConfigEntry(
        domain=DOMAIN, version=2, subentries_data=[each.as_dict() for each in subentries]
    )
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    household, rng = entry.runtime_data, np.random.default_rng(1)
    for name in names:
        household.store.put(name, album(bundle, rng, pictures))
    await household.async_changed()

    picture = vision.decode_rgb((PICTURES / "obama.jpg").read_bytes())
    someone, times = names[0], []
    before = household.store.album(someone)
    for number in range(rounds):
        began = time.perf_counter()
        portrait = await household.worker.async_run(vision.examine, bundle, picture)
        embedded = time.perf_counter()
        household.store.put(someone, [*before, portrait])
        hass.config_entries.async_update_subentry(
            entry, people_of(entry)[someone], data={"enrolled_at": str(number)}
        )
        matchers = {
            watcher.feed._pipeline._people[0]  # noqa: SLF001 - what the next frame is recognised with
            for door in household.doors.values()
            for watcher in door.watchers
        }
        effective = time.perf_counter()
        if {len(matcher) for matcher in matchers} != {people}:
            raise RuntimeError("the doors do not recognise everybody")
        await household.async_changed()  # waits for what is being written
        times.append([embedded - began, effective - embedded, time.perf_counter() - effective])
    await hass.config_entries.async_unload(entry.entry_id)
    return times


async def run(people: int, pictures: int, rounds: int) -> int:
    """Measure in a configuration of its own, and print."""
    with tempfile.TemporaryDirectory(prefix="face_lock_household_") as folder:
        (Path(folder) / "custom_components").symlink_to(ROOT / "custom_components")
        async with async_test_home_assistant(config_dir=folder) as hass:
            hass.data.pop("custom_components", None)  # so that it is looked for in the folder
            try:
                times = await measure(hass, people, pictures, rounds)
            finally:
                await hass.async_stop(force=True)
    medians = [1000 * statistics.median(column) for column in zip(*times, strict=True)]
    worst = [1000 * max(column) for column in zip(*times, strict=True)]
    print(f"{people} people with {pictures} pictures each, {len(DOORS)} doors, {rounds} rounds")
    for name, median, most in zip(("embedding", "effect", "written"), medians, worst, strict=True):
        print(f"{name:10} median {median:8.1f} ms   worst {most:8.1f} ms")
    return int(medians[1] >= 1000 * LIMIT)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--pictures", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    return asyncio.run(run(arguments.people, arguments.pictures, arguments.rounds))


if __name__ == "__main__":
    sys.exit(main())
