"""Settings of a run of the network that tells upright faces from turned ones."""

from dataclasses import dataclass

from training.common.settings import RunSettings, under


@dataclass(kw_only=True)
class UprightConfig(RunSettings):
    """All that decides a run.

    `scenes` is a Parquet pack with labelled faces, `crops` one of aligned crops (empty: none); of
    both the training side is learnt from: `scene_samples` and `crop_samples` crops that the
    detector of the bundle `models` makes of them, `night_share` by night; and `stored` crops turned
    as they are. `unseen` are packs of aligned crops and `webcam` one of frames, never trained on,
    that `evaluate` reports on. `models` is also where `export` writes to. Rates are for AdamW;
    `seed` fixes everything random.
    """

    role: str = "upright"
    scenes: str = under("data")
    crops: str = under("data", "")
    unseen: list[str] = under("data", [])  # noqa: RUF009 - gives a field
    webcam: str = under("data", "")
    models: str = "custom_components/face_lock/models"
    version: str = "0.1.0"
    licence: str = "Apache-2.0; trained on research-only pictures, see training/upright/README.md"
    scene_samples: int = 1500
    crop_samples: int = 1500
    stored: int = 10000
    night_share: float = 0.5
    batch: int = 64
    steps: int = 2500
    learning_rate: float = 4e-3
    weight_decay: float = 1e-3
    measured: int = 150
    log_every: int = 100
    threads: int = 1
    seed: int = 1
