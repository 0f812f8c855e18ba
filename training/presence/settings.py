"""Settings of a run of the presence gate."""

from dataclasses import dataclass

from training.common.settings import RunSettings, under


@dataclass(kw_only=True)
class PresenceConfig(RunSettings):
    """All that decides a run of the gate.

    `scenes` is a Parquet pack with labelled faces; `empty` are folders of pictures without anyone
    (their side follows from the name of the place, see `data.read_empty`), which the step `places`
    leaves under `runs`, as it does `things`, cut-outs that are nobody; `mattes` are those of the
    scenes, see `mattes`; `webcam` is a pack of frames (`image`, `label`, `subject`), never trained
    on, whose live ones measure recall; `start` is a checkpoint, or an exported `presence.onnx`, to
    go on from; `views` is a folder of more pictures of the places, of which those of the training
    side are learnt from and no other is looked at; `models` is the bundle's folder, which `export`
    writes into; `night_share` of the canvases are darkened; `porch_share` of the backgrounds are
    drawn (`porch.py`), and `weather_share` of the canvases have weather; rates are for AdamW;
    `seed` fixes everything random.
    """

    role: str = "presence"
    scenes: str = under("data")
    empty: list[str] = under("runs", [])  # noqa: RUF009 - gives a field
    mattes: str = under("runs", "")
    things: str = under("runs", "")
    webcam: str = under("data", "")
    start: str = under("runs", "")
    views: str = under("runs", "")
    models: str = "custom_components/face_lock/models"
    version: str = "0.1.0"
    licence: str = "Apache-2.0; trained on research-only pictures, see training/presence/README.md"
    batch: int = 32
    steps: int = 2000
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4
    night_share: float = 0.4
    view_weight: float = 1.0
    porch_share: float = 0.0
    weather_share: float = 0.0
    log_every: int = 100
    threads: int = 1
    seed: int = 1
