"""A folder with a folder of pictures for each person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from training.verifier.sources.crops import Found

if TYPE_CHECKING:
    from training.verifier.sources import Source

ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def read(source: Source) -> Iterator[Found]:
    """Yield the pictures PATH/PERSON/*, named NAME/PERSON."""
    for person in sorted(entry for entry in source.path.iterdir() if entry.is_dir()):
        name = f"{source.name}/{person.name}"
        for file in sorted(person.iterdir()):
            if file.suffix.lower() in ENDINGS:
                yield Found(file.read_bytes(), source.name, name, f"{name}/{file.name}")
