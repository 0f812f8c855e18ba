"""InsightFace's training sets: `train.rec`, in MXNet's RecordIO, read without MXNet.

A record is a magic number, a length with a flag in its upper three bits, and the content, filled up
to four bytes (dmlc-core, recordio.h). Content that holds the magic number itself was split there.
An image record's content is a header (flag, label, two numbers), more labels where the flag counts
some, and a picture's file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from training.verifier.sources.crops import Found

if TYPE_CHECKING:
    from training.verifier.sources import Source

MAGIC = 0xCED7230A
_HEADER = struct.Struct("<IfQQ")
_WHOLE, _FIRST, _LAST = 0, 1, 3


def records(path: Path) -> Iterator[bytes]:
    """Yield the content of every record of a file; ValueError where it is damaged."""
    parts: list[bytes] = []
    with path.open("rb") as file:
        while head := file.read(8):
            magic, word = struct.unpack("<II", head) if len(head) == 8 else (0, 0)
            flag, length = word >> 29, word & ((1 << 29) - 1)
            content = file.read(length)
            file.read(-length % 4)
            starts = flag in {_WHOLE, _FIRST}
            if magic != MAGIC or len(content) != length or starts == bool(parts):
                raise ValueError(f"{path} is damaged or no RecordIO, before byte {file.tell()}")
            parts.append(content)
            if flag in {_WHOLE, _LAST}:
                yield struct.pack("<I", MAGIC).join(parts)
                parts = []
    if parts:
        raise ValueError(f"{path} ends within a record")


def read(source: Source) -> Iterator[Found]:
    """Yield the pictures of a `.rec` file, or of all in a folder; people are NAME/NUMBER.

    They lie there one after the other, so that neither `train.idx` nor `property` is needed. The
    first record, and those at the end that say which pictures a person has, hold no picture.
    """
    files = sorted(source.path.glob("*.rec")) if source.path.is_dir() else [source.path]
    for path in files:
        for number, record in enumerate(records(path)):
            if len(record) < _HEADER.size:
                raise ValueError(f"{path}: record {number} has no header")
            count, label, _, _ = _HEADER.unpack_from(record)
            start = _HEADER.size + 4 * count
            if count:
                (label,) = struct.unpack_from("<f", record, _HEADER.size)
            if len(record) > start:
                person = f"{source.name}/{int(label)}"
                where = f"{path.name}, record {number}"
                yield Found(record[start:], source.name, person, where)
