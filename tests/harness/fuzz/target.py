"""What is fuzzed, and what counts as a finding."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

CORPUS = Path(__file__).resolve().parent / "corpus"
"""Inputs that once found something, in a folder for each target."""

Call = Callable[[], str]
"""Gives one input to the product; returns ``ACCEPTED`` or the documented refusal's name.

Whatever it raises is a finding.
"""

ACCEPTED = "accepted"


class Target(Protocol):
    """One way into the product for bytes from outside."""

    name: str

    def make(self, seed: int, number: int) -> bytes:
        """Make malformed input ``number`` of ``seed``, always the same."""

    def calls(self, data: bytes) -> tuple[Call, ...]:
        """Return what to do with an input; the last one's answer is counted."""

    def close(self) -> None:
        """Let go of what was set up."""


class BrokenContractError(AssertionError):
    """The product returned something else than it says, or refused for want of memory."""


def ensure(condition: object, message: object) -> None:
    """Raise BrokenContractError with the message unless the condition holds."""
    if not condition:
        raise BrokenContractError(str(message))


def refused(error: BaseException, name: str) -> str:
    """Name a documented refusal, unless memory ran out behind it."""
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
    """Read an input of a corpus; what is large and says little lies there compressed."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data
