"""Pack the integration with its models into the zip file that a release offers to HACS."""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "custom_components" / "face_lock"
TARGET = ROOT / "dist" / "face_lock.zip"


def versions() -> dict[str, str]:
    """Return the version by the place that says it."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    return {
        "manifest.json": json.loads((FOLDER / "manifest.json").read_text())["version"],
        "pyproject.toml": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
            "version"
        ],
        "CHANGELOG.md": newest[1] if newest else "none",
    }


def damaged() -> list[str]:
    """Return the model files that are not those that models.json describes."""
    described = json.loads((FOLDER / "models" / "models.json").read_text())["models"]
    files = [
        entry
        for model in described.values()
        for entry in (model["files"]["onnx"], *model["files"]["ncnn"].values())
    ]
    return [
        entry["name"]
        for entry in files
        if hashlib.sha256((FOLDER / "models" / entry["name"]).read_bytes()).hexdigest()
        != entry["sha256"]
    ]


def pack() -> list[str]:
    """Write the zip file: what git holds of the integration's folder, always the same bytes."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=FOLDER, check=True, capture_output=True, text=True
    )
    names = sorted(name for name in listed.stdout.split("\0") if name)
    TARGET.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (FOLDER / name).read_bytes())
    return names


def main(arguments: list[str]) -> int:
    """Check, pack and report."""
    found = versions()
    if arguments:
        found["the tag"] = arguments[0].removeprefix("v")
    if len(set(found.values())) != 1:
        print(f"error: the versions differ: {found}", file=sys.stderr)
        return 1
    if wrong := damaged():
        print(f"error: not the described models: {', '.join(wrong)}", file=sys.stderr)
        return 1
    names, version = pack(), found["manifest.json"]
    size = TARGET.stat().st_size / 1e6
    print(f"{TARGET.relative_to(ROOT)}: {version}, {len(names)} files, {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
