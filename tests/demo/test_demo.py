"""The demo from end to end: a real Home Assistant process, real models, real pictures."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.demo


def processes_mentioning(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        if text in command:
            found.append(command)
    return found


def start(folder: Path) -> subprocess.Popen[str]:
    """Start the demo with its temporary files inside `folder`, so that leftovers are seen."""
    return subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_behind(folder: Path) -> list[str]:
    files = [str(path) for path in folder.iterdir() if path.name.startswith("face-lock-demo-")]
    return files + processes_mentioning(str(folder))


def test_enrolled_person_opens_the_lock_and_others_do_not(tmp_path: Path) -> None:
    demo = start(tmp_path)
    try:
        table, progress = demo.communicate(timeout=400)
    finally:
        demo.kill()
    print(table)
    assert demo.returncode == 0, f"{table}\n{progress}"
    rows = [line for line in table.splitlines() if line.startswith(("ok", "WRONG"))]
    assert [row.split("  ")[0] for row in rows] == ["ok"] * 5
    opened = [row for row in rows if "opened" in row]
    assert len(opened) == 1
    assert "Barack Obama" in opened[0]
    assert left_behind(tmp_path) == []


def test_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = start(tmp_path)
    try:
        for line in demo.stderr:
            if "adding the camera" in line:
                break
        assert processes_mentioning(str(tmp_path))
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode == 130
    assert left_behind(tmp_path) == []


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
def test_killed_demo_takes_home_assistant_along(tmp_path: Path) -> None:
    demo = start(tmp_path)
    try:
        for line in demo.stderr:
            if "onboarding" in line:
                break
    finally:
        demo.kill()
    demo.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while processes_mentioning(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_mentioning(str(tmp_path)) == []
