"""Malformed JSON: a valid value changed in a few places, or its text."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from .pictures import damage_anywhere

NUMBERS = (
    *(0, 1, -1, 2, 255, 2**31, 2**53, -(2**63), 2**64, 10**400, True, False),
    *(0.0, -0.0, 0.5, 1.5, -1e-9, 1e-320, 1e308, float("nan"), float("inf"), float("-inf")),
)
TEXTS = (
    *(
        "",
        " ",
        "0",
        "1",
        "-1",
        "nan",
        "1e999",
        "true",
        "null",
        "x" * 5000,
        "\0",
        "\ud800",
        "é" * 70,
    ),
    *(
        "../verifier.onnx",
        "/etc/passwd",
        "..",
        ".",
        "detector.onnx/",
        "C:\\x",
        "{{ 1 / 0 }}",
        "%s",
        "===",
    ),
    *(
        "2026-11-24T08:00:00+00:00",
        "2026-11-24 08:00:00",
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59Z",
    ),
)
ODD: tuple[Any, ...] = (
    None,
    *NUMBERS,
    *TEXTS,
    [],
    {},
    [[]],
    [None],
    {"": None},
    [[[[]]]],
    [0] * 500,
)

Path = tuple[Any, ...]


def odd(rng: random.Random) -> Any:
    """Return a value that is rarely expected."""
    return copy.deepcopy(rng.choice(ODD))


def changed(rng: random.Random, value: Any) -> Any:
    """Return a copy of a JSON value with one to four changes anywhere in it."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        value = _change(rng, value)
    return value


def changed_text(rng: random.Random, value: Any) -> bytes:
    """Write a changed value, now and then as text that is not JSON, or endlessly nested."""
    chance = rng.random()
    if chance < 0.02:
        depth = rng.choice((100, 2000, 200_000))
        return (rng.choice(("[", '{"a":')) * depth).encode()
    text = json.dumps(changed(rng, value) if chance < 0.85 else value).encode()
    if chance < 0.8:
        return text
    return damage_anywhere(rng, text)


def _places(value: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the path to every part of a value."""
    yield at
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _places(part, (*at, key))
    elif isinstance(value, list):
        for place, part in enumerate(value[:40]):
            yield from _places(part, (*at, place))


def _change(rng: random.Random, value: Any) -> Any:
    at = rng.choice(list(_places(value)))
    if not at:
        # Rarely, because nothing is left of it.
        return odd(rng) if rng.random() < 0.2 else value
    holder = _part(value, at[:-1])
    old = holder[at[-1]]
    match rng.randrange(7):
        case 0:
            del holder[at[-1]]
        case 1:
            holder[at[-1]] = _near(rng, old)
        case 2:
            holder[at[-1]] = rng.choice(([old], {"": old}, [old, old], str(old)))
        case 3:
            holder[at[-1]] = copy.deepcopy(_part(value, rng.choice(list(_places(value)))))
        case 4 if isinstance(holder, dict):
            holder[rng.choice((*TEXTS, f"{at[-1]}x"))] = holder.pop(at[-1])
        case 5 if isinstance(holder, list):
            holder[:] = rng.choice((holder * 2, holder[::-1], [*holder, odd(rng)]))
        case _:
            holder[at[-1]] = odd(rng)
    return value


def _near(rng: random.Random, old: Any) -> Any:
    """Change a leaf into something of its own type."""
    if isinstance(old, bool) or old is None:
        return not old
    if isinstance(old, int | float):
        return rng.choice((*NUMBERS, old + 1, -old, old * 1.0))
    if isinstance(old, str):
        at = rng.randrange(len(old) + 1)
        return rng.choice(
            (old[:at], old + rng.choice(TEXTS), old[:at] + rng.choice(TEXTS) + old[at + 1 :])
        )
    return odd(rng)


def _part(value: Any, at: Sequence[Any]) -> Any:
    for step in at:
        value = value[step]
    return value
