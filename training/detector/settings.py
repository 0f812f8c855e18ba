"""Settings of a detector's run."""

from dataclasses import dataclass, field

from training.common.settings import RunSettings, under
from training.detector.losses import LossWeights


@dataclass(kw_only=True)
class DetectorConfig(RunSettings):
    """All that decides a run of the detector.

    `scenes` is a Parquet pack with labelled faces. `warm_start` is `yunet_n_dynamic.onnx`, or None
    for random weights (then without a teacher). `resume` is a checkpoint, or an exported
    `detector.onnx`, to go on from, for a second stage; the teacher stays YuNet. `night_share` of
    the canvases are darkened; `grids` are the odds of 1, 4 and 16 crops on one; rates are for
    AdamW; `seed` fixes everything random.

    `settled` is a file (.npz) that keeps the teacher's settled landmarks (`settle.py`), the targets
    where it is given. `empty` is a folder of pictures without anyone, searched and shown as well.
    `hard_share` of the crops lie around what `resume` (else the warm start) gets wrong (`mine.py`).
    `lamp_share` of the canvases are lit from a side (`shade.py`).

    Raises ValueError for a canvas that is no multiple of 128.
    """

    role: str = "detector"
    scenes: str = under("data")
    models: str = "custom_components/face_lock/models"
    warm_start: str | None = under("teachers", None)
    resume: str | None = under("runs", None)
    version: str = "0.1.0"
    licence: str = "Apache-2.0; trained on research-only pictures, see training/detector/README.md"
    canvas: int = 256
    batch: int = 16
    steps: int = 2600
    learning_rate: float = 1e-3
    warm_up: int = 100
    weight_decay: float = 1e-4
    ema: float = 0.999
    night_share: float = 0.5
    grids: list[float] = field(default_factory=lambda: [0.5, 0.35, 0.15])
    settled: str | None = under("runs", None)
    empty: str | None = under("runs", None)
    hard_share: float = 0.0
    lamp_share: float = 0.0
    validation_canvases: int = 128
    log_every: int = 100
    threads: int = 1
    seed: int = 1
    loss: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        if self.canvas % 128:
            raise ValueError("canvas must be a multiple of 128: grids of 4 cells, strides up to 32")
