"""The file that a release offers is the whole integration, and only of agreeing versions."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from custom_components.face_lock import vision

from .conftest import ROOT

MANIFEST = json.loads((ROOT / "custom_components/face_lock/manifest.json").read_text())
HACS = json.loads((ROOT / "hacs.json").read_text())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What git would hold of this working tree, as a repository of its own."""
    for part in ("custom_components", "scripts/package.py", "CHANGELOG.md", "pyproject.toml"):
        source, target = ROOT / part, tmp_path / part
        target.parent.mkdir(exist_ok=True, parents=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    return tmp_path


def package(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/package.py", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_the_zip_file_is_a_working_integration(copy: Path, tmp_path_factory) -> None:
    (copy / "custom_components/face_lock/stray.py").write_text("not in git")
    assert package(copy, f"v{MANIFEST['version']}").returncode == 0
    archive = copy / "dist" / HACS["filename"]
    first = archive.read_bytes()
    assert package(copy).returncode == 0
    assert archive.read_bytes() == first

    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    assert json.loads((folder / "manifest.json").read_text()) == MANIFEST
    assert not (folder / "stray.py").exists()
    # HACS unpacks it into the integration's folder: the models must be where they are looked for.
    assert vision.load_bundle(folder / "models").info.version


def test_versions_must_agree(copy: Path) -> None:
    refused = package(copy, "v99.0.0")
    assert refused.returncode == 1
    assert "the versions differ" in refused.stderr
    assert not (copy / "dist").exists()


def test_a_damaged_model_is_not_released(copy: Path) -> None:
    with (copy / "custom_components/face_lock/models/verifier.bin").open("ab") as file:
        file.write(b"0")
    refused = package(copy)
    assert refused.returncode == 1
    assert "verifier.bin" in refused.stderr
    assert not (copy / "dist").exists()
