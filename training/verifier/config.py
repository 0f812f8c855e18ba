"""The verifier's settings; the sections are those of the YAML file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.common import settings
from training.common.settings import RunSettings


@dataclass
class ModelSettings:
    """Which network, and where its weights start."""

    backbone: str = "mobilefacenet"
    options: dict[str, Any] = field(default_factory=dict)
    # ONNX checkpoint relative to `teachers`; empty: random weights.
    warm_start: str = ""


@dataclass
class PrepareSettings:
    """Which pictures, and the teacher whose embeddings they get."""

    # Paths in `data`, or mappings with a `path` and what is not to be guessed of it: `kind`
    # (folder, parquet, huggingface or bin), `aligned` (crops of the ArcFace template, or
    # whole pictures), `name`, `image` and `identity`; see `sources.Source`.
    sources: list[Any] = field(default_factory=list)
    # ONNX checkpoint relative to `teachers`; empty: no distillation, only a margin loss.
    teacher: str = ""
    # Aim at the mean of what the teacher makes of a picture and of its mirror image.
    teacher_mirrors: bool = False
    # Two people of different sources with centroids closer than this are held to be one.
    duplicate_cosine: float = 0.7
    # Groups of names known to be one person, whatever their cosine.
    same_people: list[list[str]] = field(default_factory=list)


@dataclass
class TrainSettings:
    """Optimisation. Rates are per step, after `warmup_steps`, on a cosine to zero."""

    seed: int = 1
    # Checkpoint of an earlier training whose weights this one begins with; empty: the start's.
    first: str = ""
    batch_size: int = 64
    # Stops at whichever comes first; 0 switches a limit off.
    steps: int = 2000
    minutes: float = 0.0
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    warmup_steps: int = 100
    ema_decay: float = 0.998
    # Share of pictures shown with no degradation at all.
    clean_share: float = 0.5
    # How likely each kind of degradation is, 0 (never) to 1 (see augment.degrade).
    augment_strength: float = 1.0
    distillation_weight: float = 1.0
    # The start's maps of the clean view, at the end of each resolution, are aimed at as well.
    feature_weight: float = 0.0
    # So many degraded pictures of a batch are one camera's: the same light, noise and colours.
    per_camera: int = 1
    # Before one camera people are to be as unlike as their targets are (losses.relation_loss),
    relation_weight: float = 0.0
    # and pushed apart, the most alike first (losses.apart_loss):
    apart_weight: float = 0.0
    # the lower it is, the less do others count than the most alike.
    apart_temperature: float = 0.07
    # How far the target moves from the picture's own teacher embedding towards the mean of its
    # person's (training people only): poses and lamps of one person are pulled together.
    centroid_pull: float = 0.0
    # ArcFace over the training people with `min_pictures` or more; 0 switches it off.
    margin_weight: float = 0.0
    margin: float = 0.3
    margin_scale: float = 32.0
    min_pictures: int = 5
    # Only pictures of `train` people and unlabelled ones; sources to leave out altogether.
    skip_sources: list[str] = field(default_factory=list)
    # Also tried at the end: so much of the way from the start's weights to the trained ones
    # (Wortsman et al. 2022, arXiv:2109.01903): most of the new at little cost to the old.
    blends: list[float] = field(default_factory=list)
    # How much TAR at FAR 1e-4 a checkpoint may lose on clean pictures against the start's.
    clean_loss: float = 0.003
    validate_every: int = 500
    # People of the validation side looked at while training (0: all of them).
    validate_people: int = 400
    # auto: bfloat16 on a GPU, float32 on a CPU. Or float32, bfloat16, float16 (GPU only).
    precision: str = "auto"
    # auto: the GPU, or the CPU where there is none. Or cpu, cuda, cuda:1.
    device: str = "auto"
    # torch.compile; needs a C++ compiler. Half as fast again on a CPU.
    compile: bool = False
    # Processes that decode and degrade pictures beside the training; 0: it does so itself.
    workers: int = 0
    # A training that was cut off goes on from the last of these steps.
    save_every: int = 100
    threads: int = 1


@dataclass
class CrowdSettings:
    """What teaches the network how crowded a face's neighbourhood is (`crowding.py`)."""

    # Of the soft maximum that is made equal for all (crowding.equal_soft_maxima),
    temperature: float = 0.05
    # and its share in the crowding that is taught.
    weight: float = 1.12
    # Added to it: the mean cosine with so many nearest strangers,
    nearest: int = 30
    # and its share.
    nearest_weight: float = 0.15
    # Strangers with a cosine above this are held to be one person twice.
    double: float = 0.62
    # Each picture is shown as it is, in one of these conditions, and degraded at random.
    conditions: list[str] = field(
        default_factory=lambda: ["dim", "dark", "very dark", "infrared", "lamp"]
    )
    # How often the last.
    degraded: int = 1
    # Of everybody but the strangers, drawn at random; the strangers all teach.
    pictures: int = 16000
    # How many perceptrons,
    heads: int = 4
    # and the width of the two hidden layers of each.
    hidden: int = 128
    epochs: int = 30
    batch_size: int = 1024
    learning_rate: float = 2e-3
    # Of the noise added to embeddings while they teach.
    noise: float = 0.03
    seed: int = 1


@dataclass
class EvaluateSettings:
    """Measurement on people never trained on."""

    side: str = "validation"
    # Any Parquet of aligned crops (`image`, `identity`), in `data`, in place of the side.
    pack: str = ""
    # A list of pairs in LFW's format and the folder of its pictures, both in `data`; empty: none.
    pairs: str = ""
    pairs_pictures: str = ""
    # A folder of NAME/PICTURE.jpg in `data`, every picture of which is compared with every other
    # (LFW: 87 million pairs, a few minutes); empty: none.
    all_pairs: str = ""
    # Of the probe, or probe/enrolled; clean pictures are enrolled where nothing else is said.
    conditions: list[str] = field(
        default_factory=lambda: ["clean", "dim", "dark", "infrared", "dark/dark"]
    )
    # Pictures of one person beyond this are left out: a few people must not be the measure.
    pictures_per_person: int = 20
    bootstrap: int = 200
    seed: int = 7
    # How many people are enrolled at a door.
    gallery_sizes: list[int] = field(default_factory=lambda: [1, 5, 20])
    # Simulated visits, in which conditions, and the frames of each that show the face; 0: none.
    visits: int = 400
    visit_frames: int = 5
    visit_conditions: list[str] = field(default_factory=lambda: ["clean", "dark", "infrared"])
    # Pictures of a source without identities that come as strangers; empty: none.
    strangers: str = "aaf"
    stranger_pictures: int = 500
    # Pack of willing people before a webcam (see webcam.py), in `data`; empty: none.
    webcam_pack: str = ""
    # In which strangers of one group are compared, as `conditions`.
    stranger_conditions: list[str] = field(
        default_factory=lambda: [
            "clean",
            "dim",
            "dark",
            "very dark",
            "infrared",
            "lamp",
            "dark stack",
            "very dark stack",
            "infrared stack",
            "dark/dark",
            "very dark/very dark",
            "infrared/infrared",
        ]
    )
    # Of each group where frames are stacked, which takes ten times as long; 0: all.
    stacked_strangers: int = 120
    # Pack of real lamps (`identity`, `file` with azimuth and elevation), in `data`; empty: none.
    lighting_pack: str = ""
    # Which of the product's runtimes measures the bundle: onnxruntime or ncnn.
    runtime: str = "onnxruntime"
    threads: int = 1


@dataclass
class CalibrateSettings:
    """The threshold table and the limits of evidence."""

    rates: list[float] = field(
        default_factory=lambda: [
            float(f"{mantissa}e{exponent}")
            for exponent in range(-2, -9, -1)
            for mantissa in ((1,) if exponent == -2 else (5, 2, 1))
        ]
    )
    # Pairs of different people that must lie above a threshold for a row to count as measured.
    min_people_pairs: int = 10
    # Conditions and sources with fewer enrolled people are watched, but set no threshold: a
    # bootstrap over a handful of people says nothing of a tail.
    min_people: int = 100
    # Share of the highest impostor scores to which the generalised Pareto tail is fitted.
    tail_share: float = 0.002
    # Probe pictures that are darkened, blurred and shrunk to see where the table's promise ends;
    # 0: the limits are not looked at.
    limit_probes: int = 1000
    # Tries by enrolled people, of which it is counted how many each row misses; 0: not looked at.
    tries: int = 2000
    # Conditions of the night; of each row the worst counts.
    night: list[str] = field(default_factory=lambda: ["dark", "infrared"])
    # Conditions in which willing owners come (see owners.py).
    owner_conditions: list[str] = field(
        default_factory=lambda: ["clean", "dim", "dark", "very dark", "infrared"]
    )
    # Enrolled pictures from which somebody counts as an owner: a few poses, as it is asked for.
    owner_pictures: int = 3
    # File, in the repository, for the published record of the product's own bundle; empty: none.
    record: str = ""
    min_face_px: float = 40.0
    min_brightness: float = 35.0
    min_sharpness: float = 15.0


@dataclass
class ExportSettings:
    """Where the bundle is, and what models.json says of the verifier."""

    models: str = "custom_components/face_lock/models"
    version: str = "0"
    licence: str = ""
    origin: str = ""
    half: bool = True
    # A network beyond these is not exported.
    max_megabytes: float = 5.5
    max_giga_multiply_adds: float = 0.35
    # Detector checkpoint (see training/detector); empty: the bundle's detector stays.
    detector_checkpoint: str = ""


@dataclass
class InspectSettings:
    """What counts as a picture of a kind, and how many of each kind there should be."""

    # Pictures whose light, blur and pose are measured, drawn at random; 0: all.
    sample: int = 4000
    # Pictures compared with one another for near copies, drawn at random; 0: all. The time grows
    # with the square: half a minute for 53,000.
    compare: int = 60000
    # A kind of picture that is a smaller share than this of the data is missed.
    wanted_share: float = 0.1
    dark_brightness: float = 60.0
    blurred_sharpness: float = 60.0
    small_face_px: float = 80.0
    side_light: float = 1.8
    grey_colour: float = 4.0
    turned_degrees: float = 25.0
    nodded_degrees: float = 10.0
    # Two pictures with a cosine above this are held to be near copies.
    copy_cosine: float = 0.97
    # A picture further than this from the mean of its person's others may be of somebody else.
    stranger_cosine: float = 0.2


@dataclass
class ErrorsSettings:
    """What `errors` looks at."""

    # The rate at which the conditions are compared; raised where there are too few impostors.
    far: float = 1e-4
    # People of the side that are looked at; 0: all.
    people: int = 0
    # Pairs on a sheet.
    pairs: int = 24


@dataclass
class SearchSettings:
    """Optuna over settings of the run; every trial is a short training."""

    # Finished or given up, together.
    trials: int = 12
    # [low, high], [low, high, log] or [low, high, step], of any number in the config, by its
    # dotted key. From random weights (`model.warm_start: ""`) the width is one of them:
    # model.options.width: [0.5, 1.0, 0.25].
    space: dict[str, Any] = field(
        default_factory=lambda: {
            "train.learning_rate": [2e-5, 5e-4, "log"],
            "train.margin_weight": [0.0, 0.2],
            "train.augment_strength": [0.3, 1.0],
            "train.clean_share": [0.25, 0.75],
        }
    )
    # Of one trial, in place of the run's; everything else is the run's own.
    steps: int = 60
    # How often a trial is measured. Once it stands below the median of the trials before it at the
    # same step, it is given up; 1 gives none up.
    validations: int = 3
    seed: int = 1


@dataclass
class Config(RunSettings):
    """All settings of one run; the sections are those of the YAML file."""

    prepared: str = "runs/prepared"
    model: ModelSettings = field(default_factory=ModelSettings)
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    crowd: CrowdSettings = field(default_factory=CrowdSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)
    calibrate: CalibrateSettings = field(default_factory=CalibrateSettings)
    export: ExportSettings = field(default_factory=ExportSettings)
    inspect: InspectSettings = field(default_factory=InspectSettings)
    errors: ErrorsSettings = field(default_factory=ErrorsSettings)
    search: SearchSettings = field(default_factory=SearchSettings)

    @property
    def prepared_dir(self) -> Path:
        """Folder that `prepare` writes and the other steps read."""
        return Path(self.prepared)


def load(path: Path, overrides: list[str] | None = None) -> Config:
    """Read a verifier's config as `settings.load` does."""
    return settings.load(Config, path, overrides)


def from_dict(values: dict[str, Any]) -> Config:
    """Build a config of plain values, checked; ValueError as for `settings.build`."""
    return settings.build(Config, values)
