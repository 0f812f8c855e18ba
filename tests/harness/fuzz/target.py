"""What is fuzzed, and what counts as a finding."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

CORPUS = Path(__file__).resolve().parent / "corpus"
"""Inputs that once found something, in a folder for each target."""

Call = Callable[[], str]
"""Gives one input to the product; returns ``ACCEPTED`` or the name of the documented refusal.

Anything that it raises is a finding.
"""

ACCEPTED = "accepted"


class Target(Protocol):
    """One way into the product for bytes from outside."""

    name: str

    def make(self, seed: int, number: int) -> bytes:
        """Make malformed input ``number`` of ``seed``, always the same."""

    def calls(self, data: bytes) -> tuple[Call, ...]:
        """Return what to do with an input; the answer of the last call is counted."""

    def close(self) -> None:
        """Release what was set up."""


class BrokenContractError(AssertionError):
    """The product returned something other than documented, or refused for lack of memory."""


def ensure(condition: object, message: object) -> None:
    """Raise BrokenContractError with the message unless the condition holds."""
    if not condition:
        raise BrokenContractError(str(message))


def refused(error: BaseException, name: str) -> str:
    """Name a documented refusal, unless it was caused by a lack of memory."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            raise BrokenContractError(f"memory ran out behind {error!r}") from error
        cause = cause.__cause__ or cause.__context__
    return name


def corpus(name: str) -> list[Path]:
    """Return the files of a target's corpus, in order."""
    return sorted(path for path in (CORPUS / name).glob("*") if path.is_file())


def content(path: Path) -> bytes:
    """Read an input of a corpus; large and repetitive ones are stored compressed."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data
