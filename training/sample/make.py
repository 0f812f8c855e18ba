"""Step `sample`: made-up packs of every kind, for a machine without pictures of people.

What is left in the folder:

    people/NAME/NAME_0001.jpg   whole pictures, a folder per person, named as in LFW
    pairs.txt                   pairs of them in LFW's format, people of the test side only
    crowd.parquet               aligned crops without names
    strangers.parquet           aligned crops of as many people, each of one of two origins
    lighting.parquet            crops of people under lamps from many directions
    scenes.parquet              whole pictures with labelled faces
    spoof.parquet               webcam frames of living people and of prints
    webcam.parquet              webcam frames of people who come on two days
    places/PLACE-1.webp         places without anyone
    teacher.onnx                the bundle's own verifier with a teacher's input

Everything is drawn (`heads`, `render`): it shows that the steps work, and nothing about people.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import compose, helper
from PIL import Image
from tqdm import tqdm

from training.common import bundle, product
from training.common.pictures import encode
from training.common.split import TEST, side_of
from training.sample.heads import Head, linear, make_head
from training.sample.places import draw_place
from training.sample.render import (
    Camera,
    Shown,
    View,
    photograph,
    place,
    random_camera,
    random_view,
)  # fmt: skip
from vision.imaging.align import align

NOTE = "sample.json"
FOLDS = 10

# Each part draws other people.
_PEOPLE, _CROWD, _LAMPS, _SCENES, _SPOOF, _STRANGERS, _OWNERS = (10_000 * part for part in range(7))
_AZIMUTHS = (-110, -70, -50, -25, -10, 0, 10, 25, 50, 70, 110)
_ELEVATIONS = (-20, 0, 20, 45)
ORIGINS = ("here", "there")


@dataclass(frozen=True)
class Sizes:
    """How much is made; `people` have `pictures` each."""

    people: int = 120
    pictures: int = 8
    crowd: int = 60
    strangers: int = 60
    lamps: int = 8
    scenes: int = 150
    subjects: int = 12
    frames: int = 6
    owners: int = 4
    owner_frames: int = 10
    places: int = 24
    seed: int = 1


def sample(folder: Path, sizes: Sizes) -> bool:
    """Make all packs in `folder`; return False where they are there already, made alike."""
    note = folder / NOTE
    if note.is_file() and note.read_text() == _text(sizes):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    make_people(folder / "people", sizes)
    make_pairs(folder, sizes)
    make_crowd(folder / "crowd.parquet", sizes)
    make_strangers(folder / "strangers.parquet", sizes)
    make_lighting(folder / "lighting.parquet", sizes)
    make_scenes(folder / "scenes.parquet", sizes)
    make_spoof(folder / "spoof.parquet", sizes)
    make_webcam(folder / "webcam.parquet", sizes)
    make_places(folder / "places", sizes)
    make_teacher(folder / "teacher.onnx")
    note.write_text(_text(sizes))
    return True


def portrait(
    head: Head,
    generator: np.random.Generator,
    *,
    size: tuple[int, int] = (200, 200),
    scale: float = 40.0,
    view: View | None = None,
    camera: Camera | None = None,
) -> tuple[np.ndarray, Shown]:
    """Photograph one head in a random place: uint8[H,W,3] and where the face is."""
    light = draw_place(generator, size)
    at = (size[0] / 2 + generator.normal(0, 0.1) * scale, size[1] * 0.42)
    clothes = generator.uniform(0.02, 0.5, 3)
    shown = place(light, head, view or random_view(generator), at, scale, clothes)
    return photograph(light, camera or random_camera(generator), generator), shown


def name_of(number: int) -> str:
    """Return a made-up person's name."""
    return f"Nobody_{number:03d}"


def make_people(folder: Path, sizes: Sizes) -> None:
    """Write a folder of whole pictures for each person."""
    for person in tqdm(range(sizes.people), desc="people", mininterval=5):
        head, name = make_head(_PEOPLE + person), name_of(person)
        (folder / name).mkdir(parents=True, exist_ok=True)
        for picture in range(1, sizes.pictures + 1):
            generator = np.random.default_rng([sizes.seed, 1, person, picture])
            rgb, _ = portrait(head, generator, scale=generator.uniform(26, 44))
            path = folder / name / f"{name}_{picture:04d}.jpg"
            Image.fromarray(rgb).save(path, quality=90)


def make_pairs(folder: Path, sizes: Sizes) -> None:
    """Write pairs.txt: as many pairs of one person as of two, nobody of them ever trained on."""
    generator = np.random.default_rng([sizes.seed, 2])
    names = [name_of(person) for person in range(sizes.people)]
    tested = [name for name in names if side_of(f"people/{name}", 0) == TEST]
    number = max(1, len(tested) // 2)
    lines = [f"{FOLDS}\t{number}"]

    def picture() -> int:
        return int(generator.integers(1, sizes.pictures + 1))

    for _ in range(FOLDS):
        for name in generator.choice(tested, number):
            one, other = generator.choice(sizes.pictures, 2, replace=False) + 1
            lines.append(f"{name}\t{one}\t{other}")
        for _ in range(number):
            one, other = generator.choice(tested, 2, replace=False)
            lines.append(f"{one}\t{picture()}\t{other}\t{picture()}")
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")


def aligned(rgb: np.ndarray, shown: Shown) -> bytes:
    """Return the crop that the door would make of a face, encoded."""
    return encode(align(rgb, shown.landmarks))


def make_crowd(path: Path, sizes: Sizes) -> None:
    """Write crops of people without names, one picture each."""
    rows = []
    for person in range(sizes.crowd):
        generator = np.random.default_rng([sizes.seed, 3, person])
        rgb, shown = portrait(make_head(_CROWD + person), generator)
        rows.append(
            {
                "image": aligned(rgb, shown),
                "source": "crowd",
                "identity": None,
                "face_px": float(shown.box[2] - shown.box[0]),
            }
        )
    fields = [("image", pa.binary()), ("source", pa.string()), ("identity", pa.string())]
    schema = pa.schema([*fields, ("face_px", pa.float32())])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def make_strangers(path: Path, sizes: Sizes) -> None:
    """Write crops of different people, one picture each, of two origins by turns."""
    rows = []
    for person in range(sizes.strangers):
        generator = np.random.default_rng([sizes.seed, 9, person])
        rgb, shown = portrait(make_head(_STRANGERS + person), generator)
        rows.append({"image": aligned(rgb, shown), "origin": ORIGINS[person % len(ORIGINS)]})
    pq.write_table(pa.Table.from_pylist(rows), path)


def make_lighting(path: Path, sizes: Sizes) -> None:
    """Write crops of upright heads under one lamp, its direction in the file's name."""
    rows = []
    for person in tqdm(range(sizes.lamps), desc="lamps", mininterval=5):
        head = make_head(_LAMPS + person)
        for azimuth in _AZIMUTHS:
            for elevation in _ELEVATIONS:
                seed = [sizes.seed, 4, person, azimuth + 180, elevation + 90]
                generator = np.random.default_rng(seed)
                view = View(azimuth=azimuth, elevation=elevation, ambient=0.06)
                rgb, shown = portrait(head, generator, view=view, camera=Camera())
                file = f"{name_of(person)}_A{azimuth:+04d}E{elevation:+03d}"
                image = aligned(rgb, shown)
                rows.append({"image": image, "identity": f"lamps/{person}", "file": file})
    pq.write_table(pa.Table.from_pylist(rows), path)


def make_scenes(path: Path, sizes: Sizes) -> None:
    """Write whole pictures of one to four people, each face labelled exactly."""
    rows = []
    for scene in tqdm(range(sizes.scenes), desc="scenes", mininterval=5):
        generator = np.random.default_rng([sizes.seed, 5, scene])
        size = (int(generator.integers(320, 481)), int(generator.integers(240, 361)))
        light = draw_place(generator, size)
        faces: list[list[float]] = []
        number = int(generator.integers(1, 5))
        order = generator.permutation(number)
        for slot in order:
            scale = float(
                np.exp(generator.uniform(np.log(9), np.log(min(64, 0.28 * size[0] / number))))
            )
            x = (slot + 0.5) * size[0] / number
            y = float(generator.uniform(1.9 * scale, size[1] - 2.0 * scale))
            head = make_head(_SCENES + int(generator.integers(400)))
            clothes = generator.uniform(0.02, 0.5, 3)
            shown = place(light, head, random_view(generator), (x, y), scale, clothes)
            faces.append(label(shown))
        rgb = photograph(light, random_camera(generator), generator)
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "WEBP", quality=90)
        rows.append(
            {"image": buffer.getvalue(), "width": size[0], "height": size[1], "source": "drawn",
             "faces": faces}
        )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)


def label(shown: Shown) -> list[float]:
    """Return a scene's label: x, y, width, height, five landmarks, and a score of 1."""
    corner, size = shown.box[:2], shown.box[2:] - shown.box[:2]
    return [*corner.tolist(), *size.tolist(), *shown.landmarks.ravel().tolist(), 1.0]


def make_spoof(path: Path, sizes: Sizes) -> None:
    """Write webcam frames of 400x300: each subject alive, and a print held before the camera."""
    rows = []
    for subject in tqdm(range(sizes.subjects), desc="spoof", mininterval=5):
        head = make_head(_SPOOF + subject)
        for frame in range(2 * sizes.frames):
            generator = np.random.default_rng([sizes.seed, 6, subject, frame])
            camera = Camera(noise=float(generator.uniform(1, 4)))
            rgb, _ = portrait(head, generator, size=(400, 300), scale=42.0, camera=camera)
            living = frame < sizes.frames
            if not living:
                rgb = held(rgb, draw_place(generator, (400, 300)), camera, generator)
            buffer = io.BytesIO()
            Image.fromarray(rgb).save(buffer, "WEBP", quality=90)
            kind = "live" if living else "spoof"
            rows.append(
                {"image": buffer.getvalue(), "label": kind, "subject": f"{subject:04d}",
                 "file": f"{subject:04d}-{frame:02d}"}
            )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)


def make_webcam(path: Path, sizes: Sizes) -> None:
    """Write webcam frames of 400x300 of each owner on two days, named as `webcam.py` reads them."""
    rows = []
    for owner in tqdm(range(sizes.owners), desc="webcam", mininterval=5):
        head = make_head(_OWNERS + owner)
        for day in (1, 2):
            for frame in range(sizes.owner_frames):
                generator = np.random.default_rng([sizes.seed, 10, owner, day, frame])
                camera = Camera(noise=float(generator.uniform(1, 4)))
                rgb, _ = portrait(head, generator, size=(400, 300), scale=42.0, camera=camera)
                buffer = io.BytesIO()
                Image.fromarray(rgb).save(buffer, "WEBP", quality=90)
                rows.append(
                    {"image": buffer.getvalue(), "label": "live", "subject": f"{owner:04d}",
                     "file": f"{owner:04d}_00_00_{day:02d}_{frame}.webp"}
                )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)


def held(
    rgb: np.ndarray, light: np.ndarray, camera: Camera, generator: np.random.Generator
) -> np.ndarray:
    """Photograph a print of uint8[H,W,3] on white paper, turned a little, before a place."""
    ink = 0.08 + 0.8 * linear(rgb / 255.0) ** generator.uniform(0.8, 1.2)
    ink *= generator.uniform(0.85, 1.0, 3)
    paper = np.pad(
        np.rint(255 * ink).astype(np.uint8)[30:270, 80:320], ((12, 12), (12, 12), (0, 0))
    )
    paper[:12] = paper[-12:] = paper[:, :12] = paper[:, -12:] = 230
    angle = float(generator.normal(0, 5))
    sheet = Image.fromarray(paper).rotate(angle, Image.Resampling.BILINEAR, expand=True)
    mask = Image.new("L", paper.shape[1::-1], 255).rotate(angle, expand=True)
    ground = Image.fromarray(np.rint(255 * light).astype(np.uint8))
    ground.paste(sheet, ((400 - sheet.width) // 2, (300 - sheet.height) // 2), mask)
    return photograph(np.asarray(ground, np.float32) / 255, camera, generator)


def make_places(folder: Path, sizes: Sizes) -> None:
    """Write views of 320x240 of places without anyone, by two lights each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(sizes.places):
        light = draw_place(np.random.default_rng([sizes.seed, 7, number]), (320, 240))
        for shot in range(2):
            generator = np.random.default_rng([sizes.seed, 8, number, shot])
            rgb = photograph(light, random_camera(generator), generator)
            Image.fromarray(rgb).save(folder / f"place{number:02d}-{shot}.webp", quality=92)


def make_teacher(path: Path) -> None:
    """Write the bundle's verifier as a teacher."""
    name = bundle.read(product.MODELS)["models"]["verifier"]["files"]["onnx"]["name"]
    onnx.save(as_teacher(onnx.load(str(product.MODELS / name))), str(path))


def as_teacher(verifier: onnx.ModelProto) -> onnx.ModelProto:
    """Give a bundle's verifier the input of a teacher: RGB in -1..1 instead of 0..255."""
    (entry,) = verifier.graph.input
    values = {"scale": 128.0, "middle": 127.5}
    constants = [
        helper.make_tensor(key, onnx.TensorProto.FLOAT, [1], [value])
        for key, value in values.items()
    ]
    nodes = [
        helper.make_node("Mul", ["rgb", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "middle"], ["levels"]),
    ]
    shape = [one.dim_param or one.dim_value for one in entry.type.tensor_type.shape.dim]
    ends = [
        helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, shape)
        for end in ("rgb", "levels")
    ]
    before = helper.make_model(
        helper.make_graph(nodes, "input", ends[:1], ends[1:], constants),
        opset_imports=verifier.opset_import, ir_version=verifier.ir_version,
    )  # fmt: skip
    return compose.merge_models(before, verifier, io_map=[("levels", entry.name)])


def _text(sizes: Sizes) -> str:
    return json.dumps(asdict(sizes), indent=1) + "\n"
