"""The model card: made of kept figures alone, with nothing left out in silence."""

import json
import shutil

import onnx
import pytest
import yaml
from onnx import TensorProto, helper

from training.cli import ROLES, main
from training.common.card import NAME, TEXTS
from training.common.card.figures import percent, shown, small
from training.common.card.render import render
from training.common.card.report import read_reports
from training.common.card.size import multiply_adds, parameters
from training.common.card.targets import targets
from training.common.paths import ROOT

MODELS = ROOT / "custom_components" / "face_lock" / "models"
REPORTS = ROOT / "training" / "reports"


@pytest.fixture
def models(tmp_path):
    return shutil.copytree(MODELS, tmp_path / "models")


def ran(tmp_path, figures, **settings):
    """Leave a verifier's run with these files; return the arguments of its card."""
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    for name, content in figures.items():
        (run / f"{name}.json").write_text(json.dumps(content))
    config = tmp_path / "one.yaml"
    config.write_text(yaml.safe_dump({"runs": str(tmp_path / "runs"), **settings}))
    words = ["card", "--config", str(config), "--data", "/secret/place"]
    return [*words, "--models", str(tmp_path / "models"), "--reports", str(tmp_path / "reports")]


def condition(tar):
    rates = {"1e-04": {"value": tar, "low": tar - 0.02, "high": tar + 0.02}}
    counts = {"people": 30, "enrolled": 20, "genuine": 90, "impostors": 9000}
    return {**counts, "accuracy": 0.97, "tar": rates, "threshold": {"1e-04": 0.5}}


def evaluated(**tar):
    return {"conditions": {name: condition(value) for name, value in tar.items()}}


def lines(card, start):
    return [line for line in card.splitlines() if line.startswith(start)]


def test_the_committed_card_is_what_the_committed_figures_make():
    """Where this fails: `python -m training card --config CONFIG`, and commit what it writes."""
    assert (MODELS / NAME).read_text(encoding="utf-8") == render(
        MODELS, read_reports(REPORTS), TEXTS
    )


def test_kept_figures_are_small_and_name_no_place():
    for role in ROLES:
        path = REPORTS / f"{role}.json"
        if path.is_file():
            assert path.stat().st_size < 400_000, path
            assert '"/' not in path.read_text(encoding="utf-8")


def test_figures_of_the_run_reach_the_table_of_targets(tmp_path, models):
    arguments = ran(
        tmp_path,
        {
            "evaluate-start-validation": evaluated(clean=0.80, dark=0.60, infrared=0.60),
            "evaluate-bundle-validation": evaluated(clean=0.798, dark=0.81, infrared=0.66),
        },
    )
    assert main(arguments) == 0
    card = (models / NAME).read_text()
    found = lines(card, "| verifier |")
    (clean,) = [one for one in found if "| clean: TAR" in one]
    (dark,) = [one for one in found if "| dark:" in one]
    (infrared,) = [one for one in found if "| infrared:" in one]
    (promise,) = [one for one in found if "holds in every group" in one]
    assert "79.8 %, the start 80.0 %" in clean
    assert "| yes |" in clean
    assert "| yes |" in dark
    assert "19.0 % of 40.0 %" in dark
    assert "| **no** |" in infrared
    assert "| not measured | not measured |" in promise
    assert "| dark | 30 | 90 | 9000 | 97.0 % |" in card
    assert "81.0 (79.0 to 83.0) %" in card
    assert "too few trials" in card


def test_what_a_rate_costs_stands_beside_it(tmp_path, models):
    def share(value):
        return {"value": value, "low": value / 2, "high": 2 * value}

    one = {"people": 80, "tries": 900, "unusable": 0.011}
    one |= {"missed": {"1e-04": share(0.02)}, "missed_by_one_frame": {"1e-04": share(0.03)}}
    costs = {"miss_day": {"1e-04": share(0.02)}, "miss_night": {"1e-04": share(0.09)}}
    figures = {"calibrate": {"tries": {"clean": {"owner": one}}, "costs": costs}}
    assert main(ran(tmp_path, figures)) == 0
    card = (models / NAME).read_text()
    (row,) = lines(card, "| 0.0001 | ")
    assert "| 2.0 (1.0 to 4.0) % | 9.0 (4.5 to 18.0) % |" in row
    # Of other rows nothing is kept here.
    (row,) = lines(card, "| 0.001 | ")
    assert "| not measured | not measured |" in row
    (line,) = lines(card, "| clean | an owner")
    assert "| 80 | 900 | 2.0 (1.0 to 4.0) % | 3.0 (1.5 to 6.0) % | 1.1 % |" in line


def test_every_figure_that_is_missing_is_said_to_be(tmp_path, models):
    assert main(ran(tmp_path, {})) == 0
    card = (models / NAME).read_text()
    for what in (
        "Condition: not measured.",
        "Group: not measured.",
        "| bundle against checkpoint, largest difference of any TAR or accuracy | not measured |",
        "| people by heart, shuffled labels: held-out pictures | not measured |",
        "| this verifier | the same pairs (LFW) | not measured |",
    ):
        assert what in card
    for who in ("faces in motion", "glasses", "caps", "beards", "children who resemble"):
        assert who in card


def test_the_card_can_be_written_again_without_the_run(tmp_path, models, capsys):
    arguments = ran(tmp_path, {"evaluate-bundle-validation": evaluated(clean=0.9)})
    main(arguments)
    before = (models / NAME).read_text()
    assert "90.0 (88.0 to 92.0) %" in before
    shutil.rmtree(tmp_path / "runs")
    (models / NAME).unlink()
    assert main(arguments) == 0
    assert (models / NAME).read_text() == before
    assert "no " in capsys.readouterr().out


def test_no_place_on_a_machine_and_no_subject_is_kept(tmp_path, models):
    arguments = ran(
        tmp_path,
        {"evaluation": {"subjects": {"test": ["0001", "0002"]}, "x": float("nan")}},
        role="liveness",
        spoof="spoof.parquet",
        scenes="scenes.parquet",
    )
    assert main(arguments) == 0
    text = (tmp_path / "reports" / "liveness.json").read_text()
    assert "/secret" not in text
    kept = json.loads(text)
    assert kept["settings"]["spoof"] == "spoof.parquet"
    assert kept["figures"]["evaluation"] == {"subjects": {"test": 2}, "x": None}


def test_figures_of_other_weights_than_the_bundles_are_marked(tmp_path, models):
    main(ran(tmp_path, {}))
    card = (models / NAME).read_text()
    assert "another than when these figures were kept" not in card
    content = json.loads((models / "models.json").read_text())
    content["models"]["verifier"]["files"]["onnx"]["sha256"] = "0" * 64
    (models / "models.json").write_text(json.dumps(content))
    card = render(models, read_reports(tmp_path / "reports"), TEXTS)
    assert "another than when these figures were kept" in card


def test_a_detector_is_judged_by_its_own_weights_and_its_worst_scale(models):
    def at(recall, false=0.01):
        shares = {width: {"value": recall, "low": recall, "high": recall} for width in ("24", "60")}
        error = {"labels": {"value": 0.07}, "teacher": {"value": 0.03}}
        return {"recall": shares, "false_per_picture": false, "landmark_error": error}

    report = {
        "config": "c.yaml",
        "run": "r",
        "figures": {
            "evaluation-yunet_n_dynamic": {"test": {"clean": at(0.5)}},
            "evaluation-zoe": {"test": {"clean": at(0.995), "half size": at(0.9799)}},
        },
    }
    found = list(targets(models, {}, {"detector": report}))

    def about(words):
        (one,) = [target for target in found if target.wanted.startswith(words)]
        return one

    clean = about("clean: recall at least 98")
    assert clean.reached is True
    assert "--checkpoint runs/r/zoe.pt" in clean.command
    assert about("half size").reached is False
    assert about("quarter size").reached is None
    assert about("clean: landmarks").reached is True


def test_multiply_adds_are_those_of_the_layers(tmp_path):
    def tensor(name, *shape):
        return helper.make_tensor(name, TensorProto.FLOAT, shape, [0.0] * int(_product(shape)))

    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "k"], ["a"], kernel_shape=[3, 3], strides=[2, 2]),
            helper.make_node("ReduceMean", ["a"], ["b"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["b", "m"], ["out"]),
        ],
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 5])],
        [tensor("k", 4, 3, 3, 3), tensor("m", 4, 5)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "net.onnx"
    onnx.save(model, str(path))
    assert parameters(path) == 4 * 27 + 20
    # 9 x 9 gives 4 x 4 places, each four kernels of 27.
    assert multiply_adds(path, 9, 9) == 16 * 4 * 27 + 20


def _product(shape):
    total = 1
    for size in shape:
        total *= size
    return total


def under_lamps(at_1e_3, none):
    def figure(value):
        return {"value": value, "low": value - 0.05, "high": value + 0.05}

    counts = {"people": 24, "genuine": 500, "impostors": 12000, "pairs of people": 552}
    bounds = {"threshold": 0.67, "far_high": 3.1e-4, "far_high of pairs": 6.7e-3}
    return {**counts, "tar": {"1e-03": figure(at_1e_3)}, "none": {**bounds, "tar": figure(none)}}


def test_real_lamps_are_given_on_both_sides_of_a_rate_that_cannot_be_counted(tmp_path, models):
    own, start = under_lamps(0.91, 0.70), under_lamps(0.80, 0.70)
    assert main(ran(tmp_path, {"lamps-bundle": own, "lamps-start": start})) == 0
    card = (models / NAME).read_text()
    assert "FAR 1e-4 would be 1.2 of these trials" in card
    (line,) = lines(card, "| this verifier | 91.0")
    assert "70.0" in line
    assert "3.1e-04, 6.7e-03" in line


def test_tar_at_a_rate_that_cannot_be_counted_is_bounded_by_the_next(tmp_path, models):
    figures = {"evaluate-bundle-validation": evaluated(clean=0.9)}
    assert main(ran(tmp_path, figures)) == 0
    card = (models / NAME).read_text()
    assert "at most 90.0 % (too few trials)" in card
    # Nothing bounds the larger rate from above.
    (row,) = lines(card, "| clean | 30 | 90 |")
    assert row.split("|")[6].strip() == "too few trials"


def test_figures_of_the_same_file_stay_and_of_another_go(tmp_path, models):
    words = ran(tmp_path, {"train": {"x": 1}, "verify": {"x": 2}}, train={"steps": 7})
    run = tmp_path / "runs" / "one"
    step = {"step": "train", "revision": "abc", "packages": {"torch": "9"}}
    (run / "steps.json").write_text(json.dumps([step]))
    main(words)
    shutil.rmtree(run)
    run.mkdir()
    (run / "verify.json").write_text('{"x": 3}')
    (run / "config.yaml").write_text("train: {steps: 8}\n")
    main(words)
    path = tmp_path / "reports" / "verifier.json"
    kept = json.loads(path.read_text())
    assert kept["figures"] == {"verify": {"x": 3}, "train": {"x": 1}}
    # Not trained here: how it was trained is what was kept.
    assert kept["settings"]["train"]["steps"] == 7
    assert (kept["revisions"]["train"], kept["packages"]) == ("abc", {"torch": "9"})
    kept["bundled"]["sha256"] = "0" * 64
    path.write_text(json.dumps(kept))
    main(words)
    assert json.loads(path.read_text())["figures"] == {"verify": {"x": 3}}


def test_weights_stored_as_int8_count_and_their_steps_do_not(models):
    assert 70_000 < parameters(models / "presence.onnx") < 80_000


def test_figures_are_written_with_their_intervals_or_as_missing():
    assert percent({"value": 0.5, "low": 0.25, "high": 0.75}) == "50.0 (25.0 to 75.0) %"
    assert percent({"value": 0.0, "low": 0.0, "high": 0.0}) == "0.0 %"
    assert small({"value": 2e-5, "low": 0.0, "high": 3e-5}) == "2e-05 (0 to 3e-05)"
    assert percent(None) == percent({"value": None}) == "not measured"
    assert shown(0.1234, digits=2, unit=" ms") == "0.12 ms"
