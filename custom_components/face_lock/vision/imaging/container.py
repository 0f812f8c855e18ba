"""Strips a picture's file down to what its pixels need, before a decoder sees it.

Most of what can harm a decoder lies beside the pixels. Pillow reads a JPEG's whole EXIF
directory when it opens the file, and each of 65,535 entries may name the same megabyte: 10 GB from
a file of 1 MB. It keeps every segment, and 20 MB have room for five million. libjpeg goes over the
whole picture once more for each scan, and twenty bytes make one. Of all that only the orientation
is needed, and it is read here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..types import PictureError, Problem

MAX_PARTS: Final = 16_384
"""Segments or chunks of a file; a PNG of 20 MB in the 8 KB pieces of libpng has 2,500."""

JPEG: Final = b"\xff\xd8\xff"
PNG: Final = b"\x89PNG\r\n\x1a\n"

END: Final = b"\xff\xd9"

_EXIF: Final = b"Exif\0\0"
_ORIENTATION: Final = 0x0112
_INTEGERS: Final = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
"""TIFF's types of integers (TIFF 6.0, section 2). The standard asks for 3; writers differ."""

# ITU-T T.81, table B.1. A byte FF in the data of a scan is followed by 00 or is a restart marker.
_MARKER: Final = re.compile(rb"\xff([\x01-\xfe])")
_AFTER_SCAN: Final = re.compile(rb"\xff(?=[\x01-\xcf\xd8-\xfe])")
_SOF: Final = frozenset((0xC0, 0xC1, 0xC2))
"""Baseline, extended and progressive frames, coded by Huffman: what cameras and phones write."""
_OTHER_SOF: Final = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8}
_APP0, _APP1, _ADOBE, _SOS, _EOI = 0xE0, 0xE1, 0xEE, 0xDA, 0xD9
_ALONE: Final = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers without a segment: TEM, the restarts, and SOI."""
_KEPT_SEGMENTS: Final = _SOF | {0xC4, 0xDB, 0xDD, _APP0, _ADOBE, _SOS, _EOI}
"""Tables, the restart interval, and the two segments that say how colours are coded."""

_KEPT_CHUNKS: Final = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))


@dataclass(frozen=True, slots=True)
class Plain:
    """A picture's file without metadata.

    ``orientation`` is EXIF's, 1..8; ``scans`` is how often a decoder passes over the whole picture.
    A JPEG that is ``cut`` does not say where it ends: its last bytes may be missing.
    """

    data: bytes
    orientation: int = 1
    scans: int = 1
    animated: bool = False
    cut: bool = False

    def ended(self, filling: bytes = b"") -> bytes:
        """Return the data of a JPEG that is cut, with an end, after ``filling`` in its place."""
        # Half a marker is no data: a decoder would take it together with what follows.
        return self.data.rstrip(b"\xff") + filling + END


def plain(data: bytes) -> Plain:
    """Remove from a JPEG or PNG what its pixels do not need; other files are left as they are.

    Damaged data is passed on as it is, for the decoder to judge. If a file holds several pictures,
    as phones write them, the first one counts.

    Raises:
        PictureError: the file has more parts than any camera writes, or an encoding that none uses.

    """
    if data.startswith(JPEG):
        return _plain_jpeg(data)
    if data.startswith(PNG):
        return _plain_png(data)
    return Plain(data)


def orientation(exif: bytes) -> int:
    """Return the orientation, 1..8, that EXIF data ask for; 1 if it cannot be read.

    The data are a TIFF file whose first directory counts (CIPA DC-008, 4.6.2).
    """
    exif = exif.removeprefix(_EXIF)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        for place in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", exif, place)
            if tag == _ORIENTATION:
                return _small_integer(f"{order}{_INTEGERS.get(kind, '')}", exif, place + 8, count)
    except struct.error:
        pass
    return 1


def _small_integer(layout: str, exif: bytes, place: int, count: int) -> int:
    """Read one value that lies in its directory entry; 1 if it is no orientation."""
    values = struct.unpack_from(layout, exif, place)
    return values[0] if len(values) == count == 1 and 1 <= values[0] <= 8 else 1


def _plain_jpeg(data: bytes) -> Plain:
    kept = [data[:2]]
    turned = scans = 0
    cut = True
    for marker, start, end in _segments(data):
        if marker in _OTHER_SOF:
            raise PictureError(Problem.PICTURE_UNSUPPORTED)
        if marker == _APP1 and not turned and data.startswith(_EXIF, start + 4):
            turned = orientation(data[start + 4 : end])
        scans += marker == _SOS
        cut = cut and marker != _EOI
        if marker in _KEPT_SEGMENTS:
            kept.append(data[start:end])
    plain = b"".join(kept)
    return Plain(plain, turned or 1, scans, cut=cut and scans > 0 and _has_all_scans(plain))


def _has_all_scans(data: bytes) -> bool:
    """Whether the scans that have begun are all that the picture consists of.

    Each says for which components it brings which coefficients, and down to which bit (ITU-T T.81,
    B.2.3). A progressive picture ends with the lowest bit of each.
    """
    components = 0
    missing: dict[tuple[int, int], int] = {}
    for marker, start, end in _segments(data):
        if marker in _SOF and end - start >= 10:
            components = data[start + 9]
        if marker != _SOS or end - start < 5:
            continue
        number = data[start + 4]
        chosen = data[start + 5 : start + 5 + 2 * number : 2]
        first, last, bits = data[start + 5 + 2 * number : start + 8 + 2 * number].ljust(3, b"\xff")
        for component in chosen:
            for place in range(first, min(last, 63) + 1):
                missing[component, place] = bits & 15
    return len(missing) == 64 * components and not any(missing.values())


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each segment's marker, start and end; a scan includes its data, and EOI comes last."""
    position = 2
    for _ in range(MAX_PARTS):
        # Decoders skip anything between two segments, and so does this.
        if (found := _MARKER.search(data, position)) is None:
            return
        marker, start, position = data[found.end() - 1], found.start(), found.end()
        if marker in _ALONE:
            continue
        if marker == _EOI:
            yield marker, start, position
            return
        position += int.from_bytes(data[position : position + 2], "big")
        if marker == _SOS:
            after = _AFTER_SCAN.search(data, position)
            position = len(data) if after is None else after.start()
        yield marker, start, position
    raise PictureError(Problem.PICTURE_CORRUPT)


def _plain_png(data: bytes) -> Plain:
    kept = [PNG]
    turned, animated, position = 1, False, len(PNG)
    for _ in range(MAX_PARTS):
        if len(header := data[position : position + 8]) < 8:
            break
        kind, start = header[4:], position
        position += 12 + int.from_bytes(header[:4], "big")
        if kind == b"eXIf":
            turned = orientation(data[start + 8 : position - 4])
        elif kind == b"acTL":
            animated = int.from_bytes(data[start + 8 : start + 12], "big") > 1
        elif kind in _KEPT_CHUNKS:
            kept.append(data[start:position])
        if kind == b"IEND":
            break
    else:
        raise PictureError(Problem.PICTURE_CORRUPT)
    return Plain(b"".join(kept), turned, animated=animated)
