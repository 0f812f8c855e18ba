"""One command line for every network: the config's role says whose steps run."""

from dataclasses import replace

import pytest
import torch

from training import cli
from training.cli import ROLES, main, role_named
from training.common.paths import ROOT
from training.common.settings import load, read
from training.verifier.backbones import build_backbone

CONFIGS = [
    path
    for path in sorted((ROOT / "training" / "configs").glob("*.yaml"))
    if read(path).get("role") in (*ROLES, None)
]


@pytest.fixture
def called(monkeypatch):
    """Names of the steps run, with their settings, in place of the steps themselves."""
    calls = []

    def quiet(name):
        role = role_named(name)
        steps = [
            replace(step, run=lambda config, options, step=step: calls.append((step.name, config)))
            for step in role.steps
        ]
        return replace(role, steps=tuple(steps))

    monkeypatch.setattr(cli, "role_named", quiet)
    return calls


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_in_the_repository_is_valid_and_names_no_place_outside_its_folders(path):
    role = role_named(read(path).get("role", "verifier"))
    config = load(role.settings, path, ["data=D", "teachers=T"])
    assert config.name == path.stem
    assert ".." not in str(config.to_dict())


VERIFIERS = [path for path in CONFIGS if read(path).get("role", "verifier") == "verifier"]


@pytest.mark.parametrize("path", VERIFIERS, ids=lambda path: path.stem)
def test_a_config_names_a_backbone_that_takes_its_options(path):
    settings = load(role_named("verifier").settings, path).model
    with torch.device("meta"):
        network = build_backbone(settings.backbone, **settings.options)
    assert network.embedding_size > 0


def test_runs_that_share_prepared_pictures_have_one_teacher():
    teachers = {}
    for path in VERIFIERS:
        config = load(role_named("verifier").settings, path)
        named = (config.prepare.teacher, config.prepare.teacher_mirrors)
        assert teachers.setdefault(config.prepared, named) == named, path


def test_a_role_gets_its_own_step_and_packs_in_the_data_folder(tmp_path, called):
    config = tmp_path / "eyes.yaml"
    config.write_text("role: detector\nscenes: a.parquet\nwarm_start: b.onnx\nresume: c/last.pt\n")
    words = ["train", "--config", str(config), "--data", "/d", "--teachers", "/t"]
    assert main([*words, "--set", "loss.box=2", "--again"]) == 0
    ((name, settings),) = called
    assert (name, settings.scenes, settings.warm_start) == ("train", "/d/a.parquet", "/t/b.onnx")
    assert settings.resume == "runs/c/last.pt"
    assert (str(settings.run_dir), settings.loss.box, settings.again) == ("runs/eyes", 2.0, True)


def test_without_a_role_it_is_the_verifier(tmp_path, called):
    config = tmp_path / "who.yaml"
    config.write_text("train: {steps: 3}\n")
    assert main(["calibrate", "--config", str(config)]) == 0
    assert [(name, settings.train.steps) for name, settings in called] == [("calibrate", 3)]


@pytest.mark.parametrize(
    ("content", "step", "message"),
    [
        ("role: detector\nscenes: a\n", "calibrate", "invalid choice: 'calibrate'"),
        ("role: cook\n", "train", "unknown role 'cook'; known: verifier, detector"),
        ("role: presence\nscenes: a\nstep: 3\n", "train", "unknown setting step"),
        ("role: presence\n", "train", "settings missing: ['scenes']"),
        ("train: {steps: many}\n", "train", "train.steps must be"),
        ("a: [\n", "train", "while parsing"),
        ("base: none.yaml\n", "train", "No such file"),
    ],
)
def test_what_cannot_be_run_is_refused_with_a_message(tmp_path, capsys, content, step, message):
    config = tmp_path / "eyes.yaml"
    config.write_text(content)
    with pytest.raises(SystemExit) as stopped:
        main([step, "--config", str(config)])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_help_without_a_config_lists_the_steps_of_all_networks(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for name in ROLES:
        assert f"role: {name}" in shown
        for step in role_named(name).steps:
            assert f"  {step.name} " in shown


def test_every_network_has_the_common_steps():
    for name in ROLES:
        assert {"train", "evaluate", "export"} <= {step.name for step in role_named(name).steps}
