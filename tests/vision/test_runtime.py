"""The faster runtime is chosen by measuring, and one that does not work is never chosen."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import vision
from vision import BundleIntegrityError, RuntimeUnavailableError, check_bundle
from vision.networks import fastest
from vision.networks.bundle import BUNDLED
from vision.networks.fastest import choose_fastest, load_fastest_bundle
from vision.networks.runtime import RUNTIMES, available

both = pytest.mark.skipif(
    len(available()) < 2, reason="only one inference runtime has a wheel here"
)


class Clock:
    """Seconds that pass only while a network runs."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def fake(clock, name, seconds, *, fails=False):
    """A bundle whose networks take the given seconds, and 10 more for the first frame."""
    waiting = [10.0]

    def detect(frame):
        assert frame.shape[2] == 3
        if fails:
            raise RuntimeError("no kernel")
        clock.now += seconds + (waiting.pop() if waiting else 0)
        return []

    def embed(crops):
        clock.now += seconds
        return np.ones((len(crops), 128), np.float32)

    return SimpleNamespace(
        info=SimpleNamespace(runtime=name),
        detector=SimpleNamespace(detect=detect),
        verifier=SimpleNamespace(embed=embed),
    )


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        (1.0, 0.5, "second"),
        (0.5, 1.0, "first"),
        (1.0, 0.95, "first"),  # not clearly faster: the order decides
        (0.0, 0.0, "first"),
    ],
)
def test_the_clearly_faster_one_is_chosen(first, second, chosen):
    clock = Clock()
    bundles = [fake(clock, "first", first), fake(clock, "second", second)]
    assert choose_fastest(bundles, clock).info.runtime == chosen


def test_what_loads_but_cannot_run_is_not_chosen():
    clock = Clock()
    bundles = [fake(clock, "first", 0.1, fails=True), fake(clock, "second", 5.0)]
    assert choose_fastest(bundles, clock).info.runtime == "second"


@pytest.fixture
def unmeasured(monkeypatch):
    monkeypatch.setattr(fastest, "_chosen", {})
    monkeypatch.setattr(fastest, "_kept", {})


@pytest.mark.usefixtures("unmeasured")
def test_real_bundle_runs_with_an_installed_runtime(picture):
    bundle = load_fastest_bundle()
    assert bundle.info.runtime in available()
    assert len(bundle.detector.detect(picture("obama"))) == 1


@both
@pytest.mark.usefixtures("unmeasured")
def test_measures_once_a_process_then_loads_the_chosen_one_alone(monkeypatch):
    measured, loaded = [], []

    def choose(bundles):
        measured.append([bundle.info.runtime for bundle in bundles])
        return bundles[1]

    def load(path=None, *, runtime=None, threads=1):
        loaded.append(runtime)
        return vision.load_bundle(path, runtime=runtime, threads=threads)

    monkeypatch.setattr(fastest, "choose_fastest", choose)
    monkeypatch.setattr(fastest, "load_bundle", load)
    second = available()[1]
    assert load_fastest_bundle().info.runtime == second
    fastest._kept.clear()
    assert load_fastest_bundle().info.runtime == second
    assert measured == [available()]
    assert loaded == [*available(), second]


@pytest.mark.usefixtures("unmeasured")
def test_what_was_loaded_and_is_unchanged_is_not_loaded_again(tmp_path):
    copy = shutil.copytree(vision.networks.bundle.BUNDLED, tmp_path / "models")
    bundle = load_fastest_bundle(copy)
    assert load_fastest_bundle(copy) is bundle
    with (copy / "verifier.onnx").open("ab") as file:
        file.write(b"!")
    with pytest.raises(BundleIntegrityError):
        load_fastest_bundle(copy)
    shutil.copy(vision.networks.bundle.BUNDLED / "verifier.onnx", copy)
    described = (copy / "models.json").read_text()
    (copy / "models.json").write_text(described.replace('"version": "', '"version": "9', 1))
    again = load_fastest_bundle(copy)
    assert again is not bundle
    assert again.info.version == f"9{bundle.info.version}"


@pytest.mark.parametrize("name", available())
def test_doors_may_share_a_bundle(name, picture):
    bundle = vision.load_bundle(runtime=name)
    wanted = vision.examine(bundle, picture("obama")).template.embedding
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: vision.examine(bundle, picture("obama")), range(24)))
    assert all(np.array_equal(f.template.embedding, wanted) for f in found)


@both
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("index", [0, 1])
def test_a_runtime_that_does_not_load_leaves_the_other(monkeypatch, index):
    def broken(self):
        raise ImportError("built for another C library")

    names = available()
    monkeypatch.setattr(RUNTIMES[names[index]], "__init__", broken)
    assert load_fastest_bundle().info.runtime == names[1 - index]


@pytest.mark.usefixtures("unmeasured")
def test_where_none_loads_the_error_names_each(monkeypatch):
    def broken(self):
        raise ImportError("built for another C library")

    for name in available():
        monkeypatch.setattr(RUNTIMES[name], "__init__", broken)
    with pytest.raises(RuntimeUnavailableError) as error:
        load_fastest_bundle()
    assert all(name in str(error.value) for name in available())


@pytest.mark.usefixtures("unmeasured")
def test_damaged_models_are_no_reason_to_try_another_runtime(monkeypatch, tmp_path):
    copy = shutil.copytree(BUNDLED, tmp_path / "models")
    (copy / "verifier.bin").write_bytes(b"other weights")
    with pytest.raises(BundleIntegrityError):
        load_fastest_bundle(copy)


@pytest.mark.parametrize("name", available())
def test_a_runtime_that_cannot_read_a_measured_file_is_unavailable(name, tmp_path):
    for file in ("network.onnx", "network.param", "network.bin"):
        (tmp_path / file).write_bytes(b"not a network")
    files = vision.networks.runtime.ModelFiles(
        *(tmp_path / f"network.{s}" for s in ("onnx", "param", "bin"))
    )
    with pytest.raises(RuntimeUnavailableError, match=name):
        RUNTIMES[name]().load(files, 1)


def test_checking_needs_no_runtime_and_finds_every_change(monkeypatch, tmp_path):
    monkeypatch.setattr("vision.networks.runtime.available", list)
    assert check_bundle() == vision.load_bundle(runtime=available()[0]).info.version
    copy = shutil.copytree(BUNDLED, tmp_path / "models")
    names = [p.name for p in copy.iterdir() if p.suffix in (".onnx", ".param", ".bin")]
    assert len(names) >= 6
    for name in names:
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:-1])
        with pytest.raises(BundleIntegrityError, match=name):
            check_bundle(copy)
        (copy / name).write_bytes(content)
    assert check_bundle(copy) == check_bundle()
    (copy / "models.json").write_text('{"format": 1}')
    with pytest.raises(vision.BundleFormatError):
        check_bundle(copy)
