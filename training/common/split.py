"""Which side a person is on: a function of the name alone, so that more data moves nobody."""

import hashlib

TRAIN, VALIDATION, TEST = "train", "validation", "test"
LARGE = 1_000_000


def person_of(source: str, identity: str) -> str:
    """Return the person behind a pack's `identity` (`source/number`).

    The celeba_* sources number the same people: celeba_wild/7301 is celeba_small/7301.
    """
    if source.startswith("celeba_"):
        return "celeba/" + identity.split("/", 1)[1]
    return identity


def side_of(person: str, pictures: int, *, halves: bool = False) -> str:
    """Return the person's side: 60/20/20, or 90/5/5 from a million pictures on.

    The smaller sides lie inside the larger ones: growing past a million moves people into the
    training side only, never between validation and test. With `halves` it is 50/50/0, for people
    of whom the measured side needs many.
    """
    digest = hashlib.sha256(person.encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2.0**64
    if halves:
        return TRAIN if place < 0.5 else VALIDATION
    width = 0.05 if pictures >= LARGE else 0.20
    if 0.6 <= place < 0.6 + width:
        return VALIDATION
    if 0.8 <= place < 0.8 + width:
        return TEST
    return TRAIN


def rule(pictures: int) -> str:
    """Say how so many pictures are split."""
    shares = "90/5/5" if pictures >= LARGE else "60/20/20"
    return f"{shares} % train/validation/test by the SHA-256 of a person's name, never by picture"
