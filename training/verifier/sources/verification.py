"""InsightFace's verification sets (`lfw.bin` and others): pairs of crops, and which are one person.

They are pickles, and a pickle may run anything. This reader builds bytes, numbers, lists and
tuples, and refuses a file that names anything else.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from training.verifier.sources.crops import Found

if TYPE_CHECKING:
    from training.verifier.sources import Source


class _PlainUnpickler(pickle.Unpickler):
    """Loads what needs no class and no function."""

    def find_class(self, module: str, name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"refused: {module}.{name}")

    def persistent_load(self, pid: Any, /) -> NoReturn:
        raise pickle.UnpicklingError(f"refused: {pid!r}")


def read_pairs(path: Path) -> tuple[list[bytes], list[bool]]:
    """Return 2 N pictures' files, and for each of the N pairs whether it is one person.

    Raises ValueError for a file that is anything else than two such lists, and runs nothing of it.
    """
    try:
        # Python 2 wrote them: its text is bytes.
        content = _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        images, same = content
    # A damaged pickle may raise almost anything, such as IndexError.
    except Exception as error:
        raise ValueError(f"{path} is no verification set: {error}") from error
    plain = (
        isinstance(images, list)
        and isinstance(same, list)
        and len(images) == 2 * len(same)
        and all(isinstance(image, bytes) for image in images)
        and all(isinstance(one, bool) for one in same)
    )
    if not plain:
        raise ValueError(f"{path} does not hold two pictures' bytes for every true or false")
    return images, same


def read(source: Source) -> Iterator[Found]:
    """Yield the pictures without names.

    A pair is one person or two, but the same person stands in many pairs: as people they would
    be their own impostors.
    """
    images, _ = read_pairs(source.path)
    for number, image in enumerate(images):
        yield Found(image, source.name, None, f"{source.path.name}, picture {number}")
