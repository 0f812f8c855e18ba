"""Chooses the runtime that is faster on this machine, if more than one is installed.

Neither is always faster: on x86-64 the detector ran faster with onnxruntime and the embedder with
ncnn, and on Arm nobody can know in advance. A few inferences tell, once per process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Final

import numpy as np

from .bundle import Bundle, fingerprint, load_bundle
from .runtime import RuntimeUnavailableError, available

ROUNDS: Final = 4
"""The first round allocates; of the others the shortest counts, because load only adds time."""
CLEARLY: Final = 0.9
"""A runtime displaces an earlier one only if it takes less than this share of its time, so that
noise alone seldom changes the choice from one start to the next."""

_chosen: dict[tuple[object, ...], str] = {}
"""A bundle's fingerprint and the installed runtimes -> the runtime that was measured to be fastest;
kept for the life of the process."""


_kept: dict[str, tuple[tuple[object, ...], Bundle]] = {}
"""A bundle's folder -> what the bundle was last made from, and the bundle; kept for the life of the
process."""
_loading = Lock()


def load_fastest_bundle(path: Path | str | None = None, *, threads: int = 1) -> Bundle:
    """Load the bundle as ``load_bundle`` does, with the fastest runtime that works here.

    The files are checked each time; if they have not changed, the bundle that is already loaded is
    returned. The networks have no state and may run in several threads, so all doors share them,
    and reloading a door takes no memory: freed sessions left some 0.1 MB behind each time.

    Raises:
        BundleError, RuntimeUnavailableError: as ``load_bundle``.

    """
    digest = fingerprint(path)
    made_from = (digest, tuple(available()), threads)
    with _loading:  # doors are set up at the same time
        kept = _kept.get(str(path))
        if kept is None or kept[0] != made_from:
            _kept.pop(str(path), None)
            kept = _kept[str(path)] = made_from, _load(path, digest, threads)
        return kept[1]


def _load(path: Path | str | None, digest: str, threads: int) -> Bundle:
    names = tuple(available())
    key = (digest, *names)
    if key in _chosen or len(names) < 2:
        return load_bundle(path, runtime=_chosen.get(key), threads=threads)
    bundles: list[Bundle] = []
    for name in names:
        try:
            bundles.append(load_bundle(path, runtime=name, threads=threads))
        except RuntimeUnavailableError:
            continue
    if not bundles:
        return load_bundle(path, threads=threads)  # says what is wrong with each
    fastest = choose_fastest(bundles)
    _chosen[key] = fastest.info.runtime
    return fastest


def choose_fastest(bundles: list[Bundle], clock: Callable[[], float] = perf_counter) -> Bundle:
    """Return the first bundle, or a later one that takes clearly less time for a frame.

    ``clock`` returns seconds.
    """
    best = {id(bundle): float("inf") for bundle in bundles}
    if len(bundles) > 1:
        frame = np.full((720, 1280, 3), 127, dtype=np.uint8)
        crop = np.full((1, 112, 112, 3), 127, dtype=np.uint8)
        for round_ in range(ROUNDS):
            for bundle in bundles:  # alternating, so that a disturbance affects all of them
                start = clock()
                try:
                    bundle.detector.detect(frame)
                    bundle.verifier.embed(crop)
                except RuntimeError:
                    continue  # it loads, but cannot run: it stays infinitely slow
                if round_:
                    best[id(bundle)] = min(best[id(bundle)], clock() - start)
    fastest = bundles[0]
    for bundle in bundles[1:]:
        if best[id(bundle)] < CLEARLY * best[id(fastest)]:
            fastest = bundle
    return fastest
