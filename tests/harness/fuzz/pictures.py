"""Malformed pictures: small valid ones, damaged with and without regard to how they are built."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

from .seeds import PNG_MARK, chunk, exif_of, png, seeds, segment

INTERESTING = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x3FFF, 0x4000, 0x7FFF, 0x8000, 0xFFFF)
INTERESTING_32 = (*INTERESTING, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF, 50_000_000)
SIDES = (
    0,
    1,
    2,
    15,
    16,
    17,
    96,
    1920,
    1921,
    4000,
    7000,
    16_383,
    65_500,
    65_535,
    500_000,
    2**31 - 1,
)
BOMBS = 5_000
"""One in this many is large or expensive: it costs as much as a thousand others."""

Change = Callable[[random.Random, bytes], bytes]


def picture(seed: int, number: int) -> bytes:
    """Make malformed picture ``number`` of ``seed``, which is never one of the valid ones."""
    rng = random.Random(f"picture {seed} {number}")  # noqa: S311 - not for secrets
    if rng.randrange(BOMBS) == 0:
        return rng.choice(_BOMBS)(rng)
    name = rng.choice(_names())
    data = damaged(rng, seeds()[name], name.partition("-")[0])
    return data if data not in _valid() else flip(rng, data)


def damaged(rng: random.Random, data: bytes, kind: str) -> bytes:
    """Damage a picture of a ``kind`` (jpeg, png, webp) in one or several places."""
    own = _OWN.get(kind, ())
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        change = rng.choice(own) if own and rng.random() < 0.6 else rng.choice(_ANY)
        data = change(rng, data)
    return data


@cache
def _names() -> tuple[str, ...]:
    """Prefer the kinds that are read over those that are refused by their first bytes."""
    read = [name for name in seeds() if name.startswith(("jpeg", "png", "webp"))]
    weights = {"jpeg": 4, "png": 2, "webp": 5}
    often = [name for name in read for _ in range(weights[name.partition("-")[0]])]
    return (*often, *(name for name in seeds() if name not in read))


@cache
def _valid() -> frozenset[bytes]:
    return frozenset(seeds().values())


# Regardless of its structure


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def flip(rng: random.Random, data: bytes) -> bytes:
    """Flip some bits."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16)) if data else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(rng: random.Random, data: bytes) -> bytes:
    at, size = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 16, 64))
    return data[:at] + rng.randbytes(size) + data[at + size :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    what = rng.choice((rng.randbytes(rng.choice((1, 2, 8, 64, 300))), bytes(16), b"\xff" * 16))
    return data[:at] + what + data[at:]


def _cut(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 2, 4, 32, 200)) :]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    at, size = rng.randrange(len(data) + 1), rng.choice((1, 4, 32, 200, 1000))
    return data[: at + size] + data[at : at + size] * rng.choice((1, 2, 50)) + data[at + size :]


def _number(rng: random.Random, data: bytes) -> bytes:
    """Put a number that programs stumble over where one may be read."""
    at, order = rng.randrange(len(data) + 1), rng.choice("<>")
    if rng.random() < 0.5:
        what = struct.pack(f"{order}H", rng.choice(INTERESTING))
    else:
        what = struct.pack(f"{order}I", rng.choice(INTERESTING_32))
    return data[:at] + what + data[at + len(what) :]


def _splice(rng: random.Random, data: bytes) -> bytes:
    other = rng.choice(list(seeds().values()))
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]


def _behind(rng: random.Random, data: bytes) -> bytes:
    other = rng.choice(list(seeds().values()))
    return data + other if rng.random() < 0.5 else other + data


def _other_head(rng: random.Random, data: bytes) -> bytes:
    size = rng.choice((2, 3, 4, 8, 12, 16, 30))
    return rng.choice(list(seeds().values()))[:size] + data[size:]


_ANY: tuple[Change, ...] = (
    _truncate,
    flip,
    _overwrite,
    _insert,
    _cut,
    _repeat,
    _number,
    _splice,
    _behind,
    _other_head,
)


def damage_anywhere(rng: random.Random, data: bytes) -> bytes:
    """Damage any data in one place, regardless of its structure."""
    return rng.choice((_truncate, flip, _overwrite, _insert, _cut, _repeat, _number))(rng, data)


# JPEG


def _parts(data: bytes) -> list[bytes]:
    """Split a JPEG at its markers, a scan with its data; only roughly where it is damaged."""
    parts, position = [data[:2]], 2
    while position < len(data) - 3 and data[position] == 0xFF:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if data[position + 1] == 0xDA:
            while (end := data.find(b"\xff", end)) >= 0 and data[end + 1 : end + 2] <= b"\xd7":
                end += 1
            end = len(data) if end < 0 else end
        parts.append(data[position:end])
        position = max(end, position + 2)
    return [*parts, data[position:]]


def _jpeg_part(rng: random.Random, data: bytes) -> bytes:
    """Drop, duplicate, move, damage or rename one part."""
    parts = _parts(data)
    at = rng.randrange(len(parts))
    match rng.randrange(6):
        case 0:
            del parts[at]
        case 1:
            parts[at : at + 1] = [parts[at]] * rng.choice((2, 3, 40))
        case 2:
            parts.insert(rng.randrange(len(parts)), parts.pop(at))
        case 3:
            parts[at] = parts[at][:4] + flip(rng, parts[at][4:])
        case 4:
            parts[at] = parts[at][:1] + bytes([rng.randrange(256)]) + parts[at][2:]
        case _:
            parts[at] = parts[at][:2] + struct.pack(">H", rng.choice(INTERESTING)) + parts[at][4:]
    return b"".join(parts)


def _jpeg_frame(rng: random.Random, data: bytes) -> bytes:
    """Change what the frame's header says: size, precision, components, sampling."""
    parts = _parts(data)
    for at, part in enumerate(parts):
        if part[:1] == b"\xff" and part[1:2] in (b"\xc0", b"\xc1", b"\xc2") and len(part) > 9:
            header = bytearray(part)
            match rng.randrange(4):
                case 0:
                    header[5:9] = struct.pack(">HH", *(rng.choice(SIDES) & 0xFFFF for _ in "hw"))
                case 1:
                    header[4] = rng.choice((1, 2, 8, 12, 16))
                case 2:
                    header[9] = rng.randrange(6)
                case _:
                    header[rng.randrange(9, len(header))] = rng.randrange(256)
            parts[at] = bytes(header)
    return b"".join(parts)


def _jpeg_insert(rng: random.Random, data: bytes) -> bytes:
    """Add a segment that has a meaning."""
    what = rng.choice(
        (
            segment(0xE1, b"Exif\0\0" + _exif(rng)),
            segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + rng.randbytes(40)),
            segment(0xE2, b"ICC_PROFILE\0" + rng.randbytes(rng.randrange(60))),
            segment(0xE2, b"MPF\0" + _exif(rng)),
            segment(0xED, b"Photoshop 3.0\0" + b"8BIM" + rng.randbytes(30)),
            segment(0xEE, b"Adobe" + rng.randbytes(7)),
            segment(0xDD, rng.randbytes(2)),
            segment(0xC4, rng.randbytes(rng.randrange(60))),
            segment(0xDB, rng.randbytes(65)),
            segment(0xFE, rng.randbytes(rng.randrange(30))),
            b"\xff\xd8",
            b"\xff\xd9",
            b"\xff\xda\0\x08\x01\x01\0\0\x3f\0",
            b"\xff\xdc\0\x04" + struct.pack(">H", rng.choice(INTERESTING)),
        )
    )
    parts = _parts(data)
    parts.insert(rng.randrange(len(parts) + 1), what)
    return b"".join(parts)


def _exif(rng: random.Random) -> bytes:
    """Make a directory whose entries may claim anything."""
    entries = [
        (
            rng.choice(
                (0x0112, 0x010F, 0x011A, 0x0128, 0x8769, 0x8825, 0xB001, rng.randrange(65536))
            ),
            rng.choice((0, 1, 2, 3, 4, 5, 7, 9, 10, 12, 13, 255)),
            rng.choice((0, 1, 2, 8, 100, 0xFFFFFFFF)),
            rng.choice((1, 6, 8, 9, 26, 200, 0xFFFFFFFF)),
        )
        for _ in range(rng.choice((0, 1, 3, 40)))
    ]
    made = exif_of(entries, rng.randbytes(rng.choice((0, 8, 200))))
    return made if rng.random() < 0.7 else flip(rng, made)


# PNG


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Split a PNG, as far as it can be read."""
    found, position = [], len(PNG_MARK)
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        found.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + size]))
        position += 12 + size
    return found


def _png_chunk(rng: random.Random, data: bytes) -> bytes:
    """Drop, duplicate, move, damage or rename one chunk; all checksums are right."""
    if not (chunks := _chunks(data)):
        return flip(rng, data)
    at = rng.randrange(len(chunks))
    kind, content = chunks[at]
    match rng.randrange(6):
        case 0:
            del chunks[at]
        case 1:
            chunks[at : at + 1] = [chunks[at]] * rng.choice((2, 3, 40))
        case 2:
            chunks.insert(rng.randrange(len(chunks)), chunks.pop(at))
        case 3:
            chunks[at] = (kind, rng.choice((flip, _truncate, _number))(rng, content))
        case 4:
            chunks[at] = (
                rng.choice((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"fdAT")),
                content,
            )
        case _:
            chunks[at] = (kind, content + rng.randbytes(rng.choice((1, 4, 100))))
    return PNG_MARK + b"".join(chunk(*each) for each in chunks)


def _png_header(rng: random.Random, data: bytes) -> bytes:
    """Change what the header says: size, depth, colours, interlacing."""
    chunks = _chunks(data)
    for at, (kind, content) in enumerate(chunks):
        if kind == b"IHDR" and len(content) == 13:
            header = bytearray(content)
            match rng.randrange(3):
                case 0:
                    header[:8] = struct.pack(">II", rng.choice(SIDES), rng.choice(SIDES))
                case 1:
                    header[8:10] = bytes((rng.choice((0, 1, 2, 4, 8, 16, 32)), rng.randrange(8)))
                case _:
                    header[rng.randrange(8, 13)] = rng.randrange(256)
            chunks[at] = (kind, bytes(header))
    return PNG_MARK + b"".join(chunk(*each) for each in chunks)


def _png_pixels(rng: random.Random, data: bytes) -> bytes:
    """Damage the rows before they are compressed."""
    chunks = _chunks(data)
    for at, (kind, content) in enumerate(chunks):
        if kind == b"IDAT":
            try:
                rows = zlib.decompress(content)
            except zlib.error:
                continue
            rows = rng.choice((flip, _overwrite, _truncate, _cut, _repeat))(rng, rows)
            chunks[at] = (kind, zlib.compress(rows, rng.choice((0, 9))))
    return PNG_MARK + b"".join(chunk(*each) for each in chunks)


def _png_insert(rng: random.Random, data: bytes) -> bytes:
    """Add a chunk that has a meaning."""
    squeezed = zlib.compress(bytes(rng.choice((10, 100_000))), 9)
    what = rng.choice(
        (
            (b"eXIf", _exif(rng)),
            (b"iCCP", b"name\0\0" + squeezed),
            (b"zTXt", b"key\0\0" + squeezed),
            (b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0" + squeezed),
            (b"tEXt", b"Raw profile type exif\0" + rng.randbytes(30)),
            (b"acTL", struct.pack(">II", rng.choice(INTERESTING_32), rng.choice(INTERESTING_32))),
            (b"fcTL", rng.randbytes(26)),
            (b"fdAT", rng.randbytes(30)),
            (b"tRNS", rng.randbytes(rng.choice((0, 1, 2, 6, 256)))),
            (b"PLTE", rng.randbytes(rng.choice((0, 1, 3, 768, 1000)))),
            (b"pHYs", rng.randbytes(9)),
            (b"gAMA", rng.randbytes(4)),
        )
    )
    chunks = _chunks(data)
    chunks.insert(rng.randrange(len(chunks) + 1), what)
    return PNG_MARK + b"".join(chunk(*each) for each in chunks)


# WebP


def _webp_size(rng: random.Random, data: bytes) -> bytes:
    """Change a size of the container: the file's, or a chunk's."""
    at = rng.choice(
        (4, 16, *(i + 4 for i in range(12, len(data) - 8) if data[i : i + 2] in (b"VP", b"AN")))
    )
    size = int.from_bytes(data[at : at + 4], "little")
    changed = rng.choice((*INTERESTING_32, (size + 1) & 0xFFFFFFFF, (size - 1) & 0xFFFFFFFF))
    return data[:at] + struct.pack("<I", changed) + data[at + 4 :]


def _webp_head(rng: random.Random, data: bytes) -> bytes:
    """Change flags, size and partitions at the beginning of the picture's own data."""
    at = rng.randrange(20, min(len(data), 44)) if len(data) > 20 else 0
    size = rng.choice((1, 2, 3))
    return (
        data[:at]
        + rng.choice((rng.randbytes(size), b"\xff" * size, bytes(size)))
        + data[at + size :]
    )


def _webp_name(rng: random.Random, data: bytes) -> bytes:
    """Replace the kind of a chunk with another."""
    kinds = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"XMP ", b"ICCP")
    return data.replace(rng.choice(kinds), rng.choice(kinds), 1)


def _webp_insert(rng: random.Random, data: bytes) -> bytes:
    """Add metadata, or a chunk of another picture."""
    content = rng.choice((_exif(rng), b"Exif\0\0" + _exif(rng), rng.randbytes(40)))
    kind = rng.choice((b"EXIF", b"XMP ", b"ICCP", b"ALPH", b"ABCD"))
    what = kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    at = rng.choice((12, 30, len(data)))
    made = data[:at] + what + data[at:]
    return made[:4] + struct.pack("<I", len(made) - 8) + made[8:]


_OWN: dict[str, tuple[Change, ...]] = {
    "jpeg": (_jpeg_part, _jpeg_part, _jpeg_frame, _jpeg_insert),
    "png": (_png_chunk, _png_chunk, _png_header, _png_pixels, _png_insert),
    "webp": (_webp_size, _webp_head, _webp_name, _webp_insert),
}


# Small files that demand a lot


def _wide(rng: random.Random) -> bytes:
    """Make one row or one column of up to 15 megapixels."""
    length = rng.choice((60_000, 500_000, 5_000_000, 15_000_000))
    if rng.random() < 0.5:
        return png(length, 1, 1, 0, bytes(1 + length // 8))
    return png(1, length, 1, 0, bytes(2 * length))


def _large(rng: random.Random) -> bytes:
    """Make as many pixels of one colour as are allowed, and a few more."""
    side = rng.choice((2000, 3900, 4001, 7100))
    depth, colour, bits = rng.choice(((1, 0, 1), (8, 2, 24), (8, 6, 32), (16, 0, 16), (16, 6, 64)))
    return png(side, side, depth, colour, bytes(side * (1 + -(-side * bits // 8))))


def _large_jpeg(rng: random.Random) -> bytes:
    """Make a small JPEG claim to be a large one: everything but its first blocks is missing."""
    data = seeds()[rng.choice([n for n in seeds() if n.startswith("jpeg") and "mpo" not in n])]
    parts = _parts(data)
    for at, part in enumerate(parts):
        if part[1:2] in (b"\xc0", b"\xc2") and part[:1] == b"\xff":
            side = struct.pack(">HH", *rng.choice(((7000, 7000), (700, 65_000), (65_000, 700))))
            parts[at] = part[:5] + side + part[9:]
    return b"".join(parts)


def _scans(rng: random.Random) -> bytes:
    """Make many passes over a picture that claims to be large."""
    parts = _parts(_large_jpeg(rng))
    scans = [part for part in parts if part[:2] == b"\xff\xda"]
    return (
        b"".join(parts[:-1])
        + rng.choice(scans or [b""]) * rng.choice((20, 300, 5000))
        + b"\xff\xd9"
    )


def _many(rng: random.Random) -> bytes:
    """Fill a file with the smallest parts."""
    number = rng.choice((10_000, 100_000, 1_500_000))
    if rng.random() < 0.5:
        small = rng.choice((chunk(b"abCd", b""), chunk(b"tEXt", b"a\0"), chunk(b"IDAT", b"")))
        data = seeds()["png"]
        return data[:33] + small * min(number, 1_500_000) + data[33:]
    small = rng.choice(
        (segment(0xE5, b""), segment(0xFE, b""), b"\xff\0", b"\xff\xd0", b"\xff", b"\0")
    )
    data = seeds()["jpeg"]
    return data[:20] + small * number + data[20:]


def _deep_exif(rng: random.Random) -> bytes:
    """Let every entry of a directory name the same bytes."""
    size, number = rng.choice(((60_000, 4_000), (500_000, 20_000)))
    entries = [(tag, 7, size - 300, 0) for tag in range(0x200, 0x200 + number)]
    exif = exif_of(entries, bytes(size))
    if rng.random() < 0.5:
        data = seeds()["png"]
        return data[:33] + chunk(b"eXIf", exif) + data[33:]
    data = seeds()["jpeg"]
    split = [exif[at : at + 65_000] for at in range(0, len(exif), 65_000)]
    return data[:2] + b"".join(segment(0xE1, b"Exif\0\0" + each) for each in split) + data[2:]


def _squeezed(rng: random.Random) -> bytes:
    """Pack megabytes of zeros into what describes a picture."""
    squeezed = zlib.compress(bytes(rng.choice((2_000_000, 60_000_000))), 9)
    what = rng.choice(
        (
            chunk(b"iCCP", b"name\0\0" + squeezed),
            chunk(b"zTXt", b"key\0\0" + squeezed),
            chunk(b"zTXt", b"key\0\0" + squeezed) * 40,
            chunk(b"iTXt", b"key\0\x01\0\0\0" + squeezed),
        )
    )
    data = seeds()["png"]
    return (
        data[:33] + what + data[33:] if rng.random() < 0.8 else data[:33] + chunk(b"IDAT", squeezed)
    )


def _heavy(rng: random.Random) -> bytes:
    """Reach the limit on bytes, or exceed it."""
    size = rng.choice((20 * 1024 * 1024 - 2000, 20 * 1024 * 1024 + 1))
    name = rng.choice(("jpeg", "png", "webp-lossy"))
    return (seeds()[name] + (rng.randbytes(1000) * (size // 1000 + 1)))[:size]


_BOMBS = (
    _wide,
    _large,
    _large_jpeg,
    _scans,
    _many,
    _deep_exif,
    _squeezed,
    _heavy,
)
