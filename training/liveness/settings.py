"""Settings of a liveness run."""

from dataclasses import dataclass

from training.common.settings import RunSettings, under


@dataclass(kw_only=True)
class LivenessConfig(RunSettings):
    """All that decides a run.

    `spoof` is a Parquet pack (`image`, `label` live or spoof, `subject`), `scenes` one of pictures
    of living people with labelled faces; `detector` an ONNX file of the bundle; `models` the
    bundle's folder, which `export` writes into. `real_attacks` false trains on simulated attacks
    alone. `fold` -1 splits the subjects by the hash of their names, 0 to 2 is a fold of the
    cross-validation. `mattes` are those of the scenes (see training/presence/mattes.py), for
    simulated visits only: `visits_living` of living people, `visits_attack` of each attack;
    with `visits_whole` false they are left at the quorum, when the door decides. `visits_pictures`
    are single pictures of the living to choose limits by.
    `antispoofing_near` and `_far` are the published MiniFASNets, ONNX, for the face's box enlarged
    2.7 and 4 times; empty where the bundle is to have none.
    """

    role: str = "liveness"
    spoof: str = under("data")
    scenes: str = under("data")
    mattes: str = under("runs", "")
    antispoofing_near: str = under("teachers", "")
    antispoofing_far: str = under("teachers", "")
    visits_living: int = 200
    visits_attack: int = 120
    visits_pictures: int = 1000
    visits_whole: bool = True
    detector: str = "custom_components/face_lock/models/detector.onnx"
    models: str = "custom_components/face_lock/models"
    version: str = "0.1.0"
    licence: str = "Apache-2.0; trained on research-only pictures, see training/liveness/README.md"
    real_attacks: bool = True
    fold: int = -1
    batch: int = 32
    steps: int = 900
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    night_share: float = 0.25
    log_every: int = 50
    threads: int = 1
    seed: int = 1
