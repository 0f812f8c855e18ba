"""Step `import-verifier`: make a bundle of a face verification network from elsewhere.

For networks that a household may use for itself and nobody may pass on. The graph is joined with
what keeps the bundle's contract, checked on known pairs, taught its crowding where the packs have
strangers, converted for ncnn where that agrees, and calibrated as the product's own verifier is.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from training.common import bundle, product
from training.common.formats import Paths, ncnn_from_onnx
from training.common.runs import open_run, write_json
from training.verifier import contract as contracts, gallery, joining, known_pairs
from training.verifier.calibrate import calibrate
from training.verifier.config import Config
from training.verifier.crowding import fit, load_taught, wanted_crowding
from training.verifier.export import INPUT
from training.verifier.network import Crowding
from training.verifier.prepare import TABLE, prepare
from training.verifier.sources.folders import ENDINGS
from vision.networks.runtime import ModelFiles, choose

LEAST_PEOPLE = 30
"""Of whom two pictures are there; a table of fewer would be guessed."""
PARITY_PEOPLE = 30
LEAST_COSINE, MOST_CROWDING = 0.999, 0.002
"""How far the formats may be apart."""
FIGURES = "import.json"
CARD = "README.md"


@dataclass(frozen=True)
class Request:
    """What is imported, and what its user says of it."""

    file: Path
    contract: str
    licence: str
    origin: str
    pictures: Path | None = None


def import_network(config: Config, request: Request) -> dict[str, Any]:
    """Write a bundle into `export.models`; return the figures.

    Raises:
        ValueError: the file, its contract, the pictures or the folder will not do.

    """
    models = Path(config.export.models)
    if models.resolve() == product.MODELS.resolve():
        raise ValueError("name a folder of your own: --set export.models=DIR")
    if not (request.licence.strip() and request.origin.strip()):
        raise ValueError("say what its licence is and where you have it from")
    torch.set_num_threads(config.evaluate.threads)
    contract = contracts.read(request.contract)
    foreign = joining.open_foreign(request.file, contract)
    if request.pictures is not None:
        config = on_pictures(config, request.pictures)
        prepare(config)
    people = count_people(config)
    folder = open_run(config, "import-verifier")
    pairs = known_pairs.check(config, foreign, contract)
    print(f"contract: d' {pairs['distance']} on {pairs['pictures']} pictures", flush=True)

    models.mkdir(parents=True, exist_ok=True)
    copy_others(models)
    paths = Paths.inside(models, "verifier")
    joining.join(foreign, contract, None, paths.onnx)
    crops = gallery.load_side(config, "validation", people=PARITY_PEOPLE, pictures_per_person=1)
    check_batch(paths.onnx, joining.embed(foreign, contract, crops.crops), crops.crops)
    head, taught = teach(config, paths.onnx)
    if head is not None:
        joining.join(foreign, contract, head, paths.onnx)
    outputs = [joining.DIRECTION] if head is None else [joining.DIRECTION, joining.CROWDING]
    ncnn = write_ncnn(paths, outputs, crops.crops, half=config.export.half)
    print(f"ncnn: {ncnn}", flush=True)
    digest = bundle.file_entry(request.file)["sha256"]
    bundle.write_entry(
        models,
        "verifier",
        {
            "version": f"{request.file.stem} {digest[:8]}",
            "files": paths.entry(),
            "input": INPUT,
            "embedding_size": foreign.width,
            "crowding": head is not None,
            "licence": request.licence,
            "origin": request.origin,
        },
    )
    calibrate(config)
    figures = {
        "file": request.file.name,
        "sha256": digest,
        "people": people,
        "pictures": "a folder of the user's" if request.pictures else "packs",
        "pairs": pairs,
        "crowding": taught,
        "ncnn": ncnn,
    }
    write_json(folder / FIGURES, figures)
    write_card(models, request, figures)
    return figures


def on_pictures(config: Config, pictures: Path) -> Config:
    """Measure on a folder with a folder for each person in place of the packs."""
    if not pictures.is_dir():
        raise ValueError(f"{pictures} is no folder")
    named = [
        sum(file.suffix.lower() in ENDINGS for file in person.iterdir())
        for person in pictures.iterdir()
        if person.is_dir()
    ]
    _enough(sum(number > 1 for number in named))
    source = {"path": pictures.resolve().name, "kind": "folder", "measured": True}
    return replace(
        config,
        data=str(pictures.resolve().parent),
        prepared=str(config.run_dir / "prepared"),
        prepare=replace(config.prepare, sources=[source], teacher="", same_people=[]),
        evaluate=replace(config.evaluate, webcam_pack="", lighting_pack="", strangers=""),
        calibrate=replace(config.calibrate, min_people=LEAST_PEOPLE),
    )


def _enough(people: int) -> None:
    if people < LEAST_PEOPLE:
        raise ValueError(
            f"{people} people with two pictures or more: at least {LEAST_PEOPLE} are needed to set "
            "a threshold, and hundreds to measure a small rate"
        )


def count_people(config: Config) -> int:
    """Count who is there to calibrate on: people with two pictures. ValueError for too few."""
    table = config.prepared_dir / TABLE
    if not table.is_file():
        raise ValueError(f"{table} is not there: run `prepare` first, or give --pictures")
    rows = pq.read_table(
        table, columns=["person"], filters=[("side", "=", "validation"), ("group", "=", "")]
    )
    _, pictures = np.unique(np.array(rows["person"].to_pylist(), str), return_counts=True)
    people = int((pictures > 1).sum())
    _enough(people)
    return people


def copy_others(models: Path) -> None:
    """Start the bundle anew with the product's other networks."""
    (models / bundle.NAME).unlink(missing_ok=True)
    for name in ("verifier.onnx", "verifier.param", "verifier.bin"):
        (models / name).unlink(missing_ok=True)
    for role, entry in bundle.read(product.MODELS)["models"].items():
        if role != "verifier":
            for name in _names(entry["files"]):
                shutil.copyfile(product.MODELS / name, models / name)
            bundle.write_entry(models, role, entry)


def _names(files: dict[str, Any]) -> Iterable[str]:
    return (one["name"] for one in (files["onnx"], *files.get("ncnn", {}).values()))


def check_batch(path: Path, wanted: np.ndarray, crops: np.ndarray) -> None:
    """Compare the joined graph, shown all crops at once, with the foreign one, one by one.

    Raises ValueError where they differ: a graph for one picture that cannot be made to take more.
    """
    try:
        found = _run(path, crops)
    except RuntimeError as error:
        raise ValueError(f"the network takes one picture at a time only: {error}") from error
    if found.shape != wanted.shape or (found * wanted).sum(axis=1).min() < LEAST_COSINE:
        raise ValueError(
            "the network gives something else for several pictures at once: export it with a free "
            "batch axis"
        )


def _run(path: Path, crops: np.ndarray) -> np.ndarray:
    """Directions float32 [N, D] that a joined graph gives for uint8 [N, 112, 112, 3]."""
    loaded = _session("onnxruntime", Paths(path, path, path))
    found: np.ndarray = loaded.run(_images(crops), [joining.DIRECTION])[joining.DIRECTION]
    return found


def _images(crops: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)


def _session(runtime: str, paths: Paths) -> Any:
    return choose(runtime).load(ModelFiles(paths.onnx, paths.param, paths.bin), 1)


def teach(config: Config, path: Path) -> tuple[Crowding | None, dict[str, Any] | None]:
    """Teach the crowding of what the joined graph at `path` gives; None without strangers."""
    groups = pq.read_table(config.prepared_dir / TABLE, columns=["group"])["group"].to_pylist()
    if not any(groups):
        return None, None
    settings = config.crowd
    loaded = _session("onnxruntime", Paths(path, path, path))

    def directions(crops: np.ndarray) -> np.ndarray:
        rows = range(0, len(crops), 64)
        parts = [loaded.run(_images(crops[n : n + 64]), [joining.DIRECTION]) for n in rows]
        return np.concatenate([part[joining.DIRECTION] for part in parts])

    taught = load_taught(config, directions)
    wanted = wanted_crowding(taught, settings)
    head, explained = fit(taught.embeddings, wanted, settings)
    return head, {
        "views": len(wanted),
        "cohort": int(taught.cohort.sum()),
        "r2": round(explained, 4),
    }


def write_ncnn(paths: Paths, outputs: list[str], crops: np.ndarray, *, half: bool) -> str:
    """Convert `paths.onnx` for ncnn and compare; without ncnn's files where it does not agree.

    Returns what came of it, in words.
    """
    image = _images(crops)
    wanted = _session("onnxruntime", paths).run(image, outputs)
    try:
        ncnn_from_onnx(paths, joining.SHAPE, outputs, half=half)
        found = _session("ncnn", paths).run(image, outputs)
        answer = disagreement(wanted, found)
    except (RuntimeError, ValueError, KeyError) as error:
        answer = f"it does not convert: {str(error)[-200:]}"
    if answer is None:
        cosine = float((wanted[joining.DIRECTION] * found[joining.DIRECTION]).sum(axis=1).min())
        return f"lowest cosine {cosine:.7f} of {len(crops)} faces"
    paths.param.unlink(missing_ok=True)
    paths.bin.unlink(missing_ok=True)
    return f"onnxruntime only; {answer}"


def disagreement(wanted: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> str | None:
    """Say how far ncnn's outputs are from onnxruntime's; None where they agree."""
    one, other = wanted[joining.DIRECTION], found[joining.DIRECTION]
    if one.shape != other.shape:
        return f"it gives {other.shape} for {one.shape}"
    cosine = float((one * other).sum(axis=1).min())
    crowding = 0.0
    if joining.CROWDING in wanted:
        crowding = float(np.abs(wanted[joining.CROWDING] - found[joining.CROWDING]).max())
    # NaN compares false.
    if cosine >= LEAST_COSINE and crowding <= MOST_CROWDING:
        return None
    return f"the lowest cosine is {cosine:.4f}, the crowding differs by {crowding:.4f}"


def write_card(models: Path, request: Request, figures: dict[str, Any]) -> None:
    """Write the bundle's card beside it: whose it is, what was checked, what was measured."""
    entry = bundle.read(models)["models"]["verifier"]
    rows = [
        f"| {row['fpr']:g} | {row['threshold']:g} | {row['fpr_high']:.2g} | "
        f"{'counted' if row['measured'] else 'fitted tail'} | {100 * row['tar']:.1f} % |"
        for row in entry["thresholds"]
    ]
    taught, pairs = figures["crowding"], figures["pairs"]
    crowding = (
        "Not taught: the pictures have no strangers by sex and origin. A rate may be exceeded for "
        "people who look alike to this network."
        if taught is None
        else f"Taught on {taught['views']} views, of which {taught['cohort']} are of strangers; R2 "
        f"{taught['r2']} on a tenth held out."
    )
    text = f"""# {request.file.stem}: a face verification network from elsewhere

**For your own household.** Nobody may pass this folder on, or use it for what the network's licence
forbids. Whether it may be used at all is between you and that licence; Face Lock does not know.

| | |
|---|---|
| licence (your words) | {request.licence} |
| origin (your words) | {request.origin} |
| file | `{figures["file"]}`, SHA-256 `{figures["sha256"]}` |
| contract | {pairs["contract"]} |
| ncnn | {figures["ncnn"]} |

The other networks are Face Lock's own; their card is in the integration's `models/README.md`.

## Checked and measured

- Known pairs: of {pairs["pictures"]} pictures, genuine pairs scored above impostor pairs in
  {100 * pairs["ordered"]:.2f} % of comparisons (d' {pairs["distance"]}).
- Crowding: {crowding}
- Calibrated on {figures["people"]} people with two pictures or more ({figures["pictures"]}).
  **Whom the network was trained on is not known here.** If they are among these people, the table
  is too kind.

| rate | threshold | its upper bound | how | enrolled people accepted, clean |
|---|---|---|---|---|
{chr(10).join(rows)}
"""
    (models / CARD).write_text(text, encoding="utf-8")
