"""Settings of a run of the network that tells upright faces from turned ones."""

from dataclasses import dataclass

from training.common.settings import RunSettings, under


@dataclass(kw_only=True)
class UprightConfig(RunSettings):
    """All that decides a run.

    `scenes` is a Parquet pack with labelled faces, `crops` one of aligned crops and `webcam` one of
    frames (empty: none); of each the training side is shown `scene_samples`, `crop_samples` and
    `frame_samples` times to the detector of the bundle `models`, `night_share` by night. `unseen`
    are packs of aligned crops, never trained on, that `evaluate` reports on: `measured` faces of
    each pack. `start` is a checkpoint to go on from. `models` is also where `export` writes to.
    `width` is the network's, rates are for AdamW; `device` is "auto", "cpu" or a GPU's name; `seed`
    fixes everything random.
    """

    role: str = "upright"
    scenes: str = under("data")
    crops: str = under("data", "")
    webcam: str = under("data", "")
    unseen: list[str] = under("data", [])  # noqa: RUF009 - gives a field
    start: str = under("runs", "")
    models: str = "custom_components/face_lock/models"
    version: str = "0.1.0"
    licence: str = "Apache-2.0; trained on research-only pictures, see training/upright/README.md"
    scene_samples: int = 20000
    crop_samples: int = 40000
    frame_samples: int = 4000
    night_share: float = 0.5
    width: float = 1.0
    batch: int = 128
    steps: int = 20000
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    measured: int = 1000
    log_every: int = 200
    device: str = "auto"
    threads: int = 1
    seed: int = 1
