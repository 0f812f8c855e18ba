"""Tables with an image and an identity: Parquet files, and saved Hugging Face data sets.

A data set that `datasets` saved (`save_to_disk`) is a folder of Arrow streams, with the features'
types in each file's schema. pyarrow reads it as it is; the package itself would bring some twenty
others along, for downloads, data frames and processes that nothing here needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from training.common.split import person_of
from training.verifier.sources.crops import Found

if TYPE_CHECKING:
    from training.verifier.sources import Source

STATE, SPLITS = "state.json", "dataset_dict.json"
_ROWS = 256


def read_parquet(source: Source) -> Iterator[Found]:
    """Yield the rows of a Parquet file: an image (bytes, or Hugging Face's struct), an identity.

    A column `source` names where a row comes from (NAME otherwise), `face_px` the width of its
    face. An identity SOURCE/PERSON is that person in any file; others get NAME before them.
    """
    file = pq.ParquetFile(source.path)
    yield from _rows(source, file.schema_arrow, file.iter_batches(_ROWS))


def read_saved(source: Source) -> Iterator[Found]:
    """Yield the rows of what `save_to_disk` wrote: a data set, all splits of several, or a file."""
    for path in _arrow_files(source.path):
        # Not memory-mapped: a data set's own batches are small.
        with path.open("rb") as file, pa.ipc.open_stream(file) as stream:
            yield from _rows(source, stream.schema, stream)


def _arrow_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if (path / SPLITS).is_file():
        # Which side a person is on is decided here, not by the data set.
        splits = json.loads((path / SPLITS).read_text())["splits"]
        return [file for split in splits for file in _arrow_files(path / split)]
    state = json.loads((path / STATE).read_text())
    if state.get("_indices_data_files"):
        raise ValueError(f"{path} is a selection of rows: save it after `flatten_indices()`")
    return [path / entry["filename"] for entry in state["_data_files"]]


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Return the types that Hugging Face notes in a schema, by column; none where it did not."""
    noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features: dict[str, Any] = noted.get("info", {}).get("features") or {}
    return {name: kind for name, kind in features.items() if isinstance(kind, dict)}


def _column(schema: pa.Schema, chosen: str, usual: tuple[str, ...], kind: str, path: Path) -> str:
    """Return the column `chosen`, or of a usual name, or the only one of a Hugging Face kind."""
    typed = [name for name, one in _features(schema).items() if one.get("_type") == kind]
    for name in (chosen,) if chosen else (*usual, *(typed if len(typed) == 1 else ())):
        if name in schema.names:
            return name
    raise ValueError(f"{path} has no column {chosen or ' or '.join(usual)}; it has {schema.names}")


def _rows(source: Source, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[Found]:
    image = _column(schema, source.image, ("image",), "Image", source.path)
    known = {"source", "face_px"} & set(schema.names)
    columns = [image, *sorted(known | set(source.group))]
    identity, names = "", None
    if not source.everybody_once:
        usual = ("identity", "label")
        identity = _column(schema, source.identity, usual, "ClassLabel", source.path)
        names = _features(schema).get(identity, {}).get("names")
        columns.append(identity)
    number = 0
    for batch in batches:
        for row in batch.select(columns).to_pylist():
            where = f"{source.path.name}, row {number}"
            origin = row.get("source") or source.name
            who = row[identity] if identity else number
            number += 1
            person = _person(origin, who, names)
            content = _content(row[image], source.path.parent)
            width = float(row.get("face_px") or "nan")
            group = " ".join(str(row[column]) for column in source.group)
            yield Found(content, origin, person, where, width, group)


def _content(value: Any, folder: Path) -> bytes:
    """Return a picture's file: bytes, or Hugging Face's struct of bytes or else a path to them."""
    if isinstance(value, dict):
        path = folder / (value.get("path") or "")
        if value.get("bytes") is None and path.is_file():
            return path.read_bytes()
        value = value.get("bytes")
    return value or b""


def _person(origin: str, identity: Any, names: list[str] | None) -> str | None:
    """Return who a row shows: None for no label, which a Hugging Face class writes as -1."""
    if names is not None and isinstance(identity, int):
        identity = names[identity] if identity >= 0 else None
    if identity is None or identity == "":
        return None
    text = str(identity)
    return person_of(origin, text if "/" in text else f"{origin}/{text}")
