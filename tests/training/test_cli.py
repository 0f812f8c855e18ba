"""One command line for every role's config."""

import pytest

from training.cli import main
from training.detector import steps


def test_a_detectors_config_is_run_by_the_detectors_steps(tmp_path, monkeypatch):
    config = tmp_path / "eyes.yaml"
    config.write_text("role: detector\nscenes: a\noutput: b\n")
    seen = []
    monkeypatch.setitem(steps.STEPS, "train", (lambda own, _options: seen.append(own), "train"))
    assert main(["train", "--config", str(config)]) == 0
    assert [str(own.output) for own in seen] == ["b"]


def test_a_detector_has_no_step_that_its_own_command_has_not(tmp_path, capsys):
    config = tmp_path / "eyes.yaml"
    config.write_text("role: detector\n")
    with pytest.raises(SystemExit):
        main(["calibrate", "--config", str(config)])
    assert "python -m training.detector" in capsys.readouterr().err


def test_a_config_that_is_absent_or_of_no_known_role_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        main(["inspect", "--config", str(tmp_path / "none.yaml")])
    config = tmp_path / "who.yaml"
    config.write_text("role: cook\n")
    with pytest.raises(ValueError, match="role"):
        main(["inspect", "--config", str(config)])
