"""Where pictures come from: one reader for each kind of source, and what kind a path is."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from training.verifier.sources import folders, tables, verification
from training.verifier.sources.crops import Aligner, Found, Row, stored

KINDS = {
    "folder": folders.read,
    "parquet": tables.read_parquet,
    "huggingface": tables.read_saved,
    "bin": verification.read,
}
# What these hold is whole pictures, as far as nothing else is said; the others hold aligned crops.
_WHOLE = ("folder", "huggingface")


@dataclass(frozen=True)
class Source:
    """One entry of `prepare.sources`.

    `kind` is one of `KINDS`. `aligned` says that the pictures are crops of the ArcFace template
    (112x112, or 128x128 with the border that packs have), taken as they are; all others are whole
    pictures, in which the bundle finds and aligns the one face. `name` stands before the names of
    its people, NAME/PERSON; `image` and `identity` are columns of tables, found where empty.
    `everybody_once` says that each row of a table is a person of its own, NAME/ROW; `group` lists
    the columns whose values, joined, are the group that its strangers are compared within. `halves`
    puts half of its people on the training side and half on the validation side; `measured` all on
    the validation side, for a network that none of them teaches.
    """

    path: Path
    kind: str
    aligned: bool
    name: str
    image: str = ""
    identity: str = ""
    everybody_once: bool = False
    group: tuple[str, ...] = ()
    halves: bool = False
    measured: bool = False


def source_of(entry: str | dict[str, Any], data: Path) -> Source:
    """Read an entry: a path in `data`, or a mapping with `path` and any other field of `Source`.

    Raises:
        ValueError: an unknown key or kind, or a path whose kind cannot be told.
        FileNotFoundError: the path is not there.

    """
    values: dict[str, Any] = dict(entry) if isinstance(entry, dict) else {"path": entry}
    known = {item.name for item in fields(Source)}
    if "path" not in values or values.keys() - known:
        raise ValueError(f"a source is a path or has `path` and some of {sorted(known)}: {entry}")
    path = data / values.pop("path")
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there")
    kind = values.pop("kind", "") or kind_of(path)
    if kind not in KINDS:
        raise ValueError(f"unknown kind of source {kind!r}; known: {sorted(KINDS)}")
    return Source(
        path=path,
        kind=kind,
        aligned=values.pop("aligned", kind not in _WHOLE),
        name=values.pop("name", "") or path.stem,
        group=tuple(values.pop("group", ())),
        **values,
    )


def kind_of(path: Path) -> str:
    """Tell a source's kind from its file name, or from what lies in its folder."""
    if path.is_dir():
        saved = any((path / name).is_file() for name in (tables.STATE, tables.SPLITS))
        return "huggingface" if saved else "folder"
    found = {".parquet": "parquet", ".arrow": "huggingface", ".bin": "bin"}
    if path.suffix not in found:
        raise ValueError(f"{path} is no folder and no {', '.join(found)} file")
    return found[path.suffix]


def read(source: Source, aligner: Aligner | None, refused: dict[str, str]) -> Iterator[Row]:
    """Yield the usable pictures of a source as stored crops; `refused` is told of all others.

    Only a source of aligned crops needs no `aligner`. Raises ValueError where such a source has
    pictures of another size.
    """
    for found in KINDS[source.kind](source):
        outcome = stored(found) if source.aligned or aligner is None else aligner(found)
        if isinstance(outcome, Row):
            yield outcome
        else:
            refused[found.where] = outcome


def fingerprint(source: Source) -> str:
    """Return a digest of what a source holds: of a folder of pictures, their names and sizes."""
    digest = hashlib.sha256()
    files = sorted(source.path.rglob("*")) if source.path.is_dir() else [source.path]
    for file in files:
        if not file.is_file():
            continue
        digest.update(f"{file.relative_to(source.path)} {file.stat().st_size}\n".encode())
        if source.kind != "folder":
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


__all__ = [
    "KINDS", "Aligner", "Found", "Row", "Source", "fingerprint", "kind_of", "read", "source_of",
]  # fmt: skip
