"""Every kind of source is read as it is found, and nothing in a file is run."""

import io
import json
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from training.common.pictures import CROP, STORED, decode, decode_centres, encode
from training.verifier import metrics, sources
from training.verifier.config import Config
from training.verifier.embedders import bundled_embedder
from training.verifier.sources import verification


@pytest.fixture(scope="module")
def jpegs(draw_face) -> list[bytes]:
    """Four crops of 112x112, two each of two people, as JPEG files."""
    found = []
    for picture in range(4):
        buffer = io.BytesIO()
        crop = draw_face(picture // 2, picture)[8:120, 8:120]
        Image.fromarray(crop).save(buffer, "JPEG", quality=95)
        found.append(buffer.getvalue())
    return found


def read(entry, data: Path, refused: dict[str, str] | None = None) -> list[sources.Row]:
    source = sources.source_of(entry, data)
    aligner = None if source.aligned else sources.Aligner()
    return list(sources.read(source, aligner, {} if refused is None else refused))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_verification_set_gives_its_pairs_and_pictures_without_names(tmp_path, jpegs, protocol):
    if protocol == 2:
        # As Python 2 wrote it: bytes are text there (BINSTRING), which Python 3 no longer writes.
        texts = b"".join(b"T" + struct.pack("<i", len(one)) + one for one in jpegs)
        written = b"\x80\x02](" + texts + b"e](\x88\x89e\x86."
    else:
        written = pickle.dumps((jpegs, [True, False]), protocol)
    (tmp_path / "lfw.bin").write_bytes(written)
    assert verification.read_pairs(tmp_path / "lfw.bin") == (jpegs, [True, False])
    rows = read("lfw.bin", tmp_path)
    assert [(row.image, row.person, row.source) for row in rows] == [
        (jpeg, None, "lfw") for jpeg in jpegs
    ]


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_runs_nothing(tmp_path):
    (tmp_path / "evil.bin").write_bytes(pickle.dumps(([_Touch(tmp_path / "ran")] * 2, [True])))
    with pytest.raises(ValueError, match="refused"):
        verification.read_pairs(tmp_path / "evil.bin")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [([b"1"], [True]), ([b"1", "2"], [True]), ([b"1", b"2"], [1]), {"a": 1}, ([], [], []), (1, 2)],
)
def test_a_pickle_of_anything_else_is_refused(tmp_path, content):
    (tmp_path / "odd.bin").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=r"odd\.bin"):
        verification.read_pairs(tmp_path / "odd.bin")
    (tmp_path / "odd.bin").write_bytes(b"\x80\x04h\x00.")
    with pytest.raises(ValueError, match=r"odd\.bin"):
        verification.read_pairs(tmp_path / "odd.bin")


def hugging_face(jpegs: list[bytes]) -> pa.Table:
    """Return a table as `datasets` writes it: an image is a struct, a label a class's number."""
    features = {
        "photo": {"_type": "Image"},
        "who": {"names": ["anna", "ben"], "_type": "ClassLabel"},
    }
    schema = pa.schema(
        [
            ("photo", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("who", pa.int64()),
        ],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    photos = [{"bytes": jpeg, "path": None} for jpeg in jpegs]
    return pa.table([photos, [0, 1, -1, 0][: len(jpegs)]], schema=schema)


def save_to_disk(folder: Path, table: pa.Table, **state) -> None:
    folder.mkdir(parents=True)
    path = str(folder / "data-00000-of-00001.arrow")
    with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    files = [{"filename": "data-00000-of-00001.arrow"}]
    (folder / "state.json").write_text(json.dumps({"_data_files": files, **state}))


def test_a_saved_hugging_face_data_set_is_read_with_all_its_splits(tmp_path, jpegs):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    save_to_disk(tmp_path / "ours" / "train", hugging_face(jpegs[:3]))
    save_to_disk(tmp_path / "ours" / "test", hugging_face(jpegs[3:]))
    rows = read({"path": "ours", "aligned": True}, tmp_path)
    assert [row.image for row in rows] == jpegs
    assert [row.person for row in rows] == ["ours/anna", "ours/ben", None, "ours/anna"]
    save_to_disk(tmp_path / "some", hugging_face(jpegs), _indices_data_files=["x"])
    with pytest.raises(ValueError, match="flatten_indices"):
        read({"path": "some", "aligned": True}, tmp_path)


def test_hugging_face_parquet_and_our_own_are_told_apart_by_their_columns(tmp_path, jpegs):
    pq.write_table(hugging_face(jpegs), tmp_path / "hub.parquet")
    assert [row.person for row in read("hub.parquet", tmp_path)] == [
        "hub/anna", "hub/ben", None, "hub/anna",
    ]  # fmt: skip
    # `to_parquet` leaves pictures where they are.
    (tmp_path / "1.jpg").write_bytes(jpegs[0])
    elsewhere = pa.table({"image": [{"bytes": None, "path": "1.jpg"}], "label": ["anna"]})
    pq.write_table(elsewhere, tmp_path / "paths.parquet")
    assert read("paths.parquet", tmp_path)[0].image == jpegs[0]
    plain = pa.table(
        {
            "image": pa.array(jpegs, pa.binary()),
            "identity": ["7", "b/7", None, "celeba_wild/7"],
            "source": ["a", "b", "a", "celeba_wild"],
            "face_px": pa.array([60.0, None, 1.0, 2.0], pa.float32()),
        }
    )
    pq.write_table(plain, tmp_path / "pack.parquet")
    rows = read("pack.parquet", tmp_path)
    assert [row.person for row in rows] == ["a/7", "b/7", None, "celeba/7"]
    assert [row.source for row in rows] == ["a", "b", "a", "celeba_wild"]
    assert rows[0].face_px == 60
    assert np.isnan(rows[1].face_px)
    named = {"path": "pack.parquet", "identity": "source", "name": "n"}
    assert read(named, tmp_path)[0].person == "a/a"
    with pytest.raises(ValueError, match="no column who"):
        read({"path": "pack.parquet", "identity": "who"}, tmp_path)


def test_whole_pictures_are_detected_and_aligned_as_at_the_door(tmp_path):
    pictures = Path(__file__).parent.parent / "pictures"
    for person, names in {"obama": ["obama", "obama2"], "biden": ["biden"]}.items():
        (tmp_path / "us" / person).mkdir(parents=True)
        for name in names:
            shutil.copy(pictures / f"{name}.jpg", tmp_path / "us" / person)
    (tmp_path / "us" / "biden" / "empty.png").write_bytes(encode(np.zeros((64, 64, 3), np.uint8)))
    (tmp_path / "us" / "biden" / "text.jpg").write_bytes(b"no picture")
    refused: dict[str, str] = {}
    rows = read("us", tmp_path, refused)
    assert [row.person for row in rows] == ["us/biden", "us/obama", "us/obama"]
    assert refused == {"us/biden/empty.png": "no face", "us/biden/text.jpg": "not a picture"}
    assert all(row.face_px > 100 for row in rows)
    crops = decode_centres([row.image for row in rows])
    embeddings = bundled_embedder(Config("x"))(crops)
    scores = metrics.pairwise_scores(embeddings, embeddings)
    assert scores[1, 2] > scores[0, 1:].max() + 0.3


def test_aligned_crops_keep_their_bytes_and_other_sizes_are_refused(tmp_path, jpegs):
    (tmp_path / "door" / "anna").mkdir(parents=True)
    (tmp_path / "door" / "anna" / "1.jpg").write_bytes(jpegs[0])
    (tmp_path / "door" / "anna" / "2.jpg").write_bytes(b"no picture")
    refused: dict[str, str] = {}
    entry = {"path": "door", "aligned": True, "name": "house"}
    (row,) = read(entry, tmp_path, refused)
    assert (row.image, row.person) == (jpegs[0], "house/anna")
    assert refused == {"house/anna/2.jpg": "not a picture"}
    stored = decode(row.image)
    assert np.array_equal(stored[8:120, 8:120], decode_centres([row.image])[0])
    # As alignment fills what lies outside a picture.
    stored[8:120, 8:120] = 0
    assert not stored.any()
    Image.new("RGB", (CROP, STORED)).save(tmp_path / "door" / "anna" / "3.png")
    with pytest.raises(ValueError, match="aligned: false"):
        read(entry, tmp_path)


def test_a_kind_is_told_or_said_and_mistakes_are_named(tmp_path, jpegs):
    (tmp_path / "faces").mkdir()
    assert sources.source_of("faces", tmp_path).kind == "folder"
    assert not sources.source_of("faces", tmp_path).aligned
    assert sources.source_of({"path": "faces", "kind": "parquet"}, tmp_path).kind == "parquet"
    for entry, wrong in (
        ({"path": "faces", "colour": 1}, "colour"),
        ({"kind": "folder"}, "path"),
        ({"path": "faces", "kind": "zip"}, "zip"),
        ("x.txt", "no folder"),
    ):
        (tmp_path / "x.txt").touch()
        with pytest.raises(ValueError, match=wrong):
            sources.source_of(entry, tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        sources.source_of("nowhere", tmp_path)


def test_a_changed_file_changes_the_fingerprint(tmp_path, jpegs):
    (tmp_path / "a.bin").write_bytes(b"12")
    source = sources.source_of("a.bin", tmp_path)
    before = sources.fingerprint(source)
    assert sources.fingerprint(source) == before
    (tmp_path / "a.bin").write_bytes(b"13")
    assert sources.fingerprint(source) != before
