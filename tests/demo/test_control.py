"""Who stands before the camera is who was asked for, with the head turned as asked for."""

import io

import numpy as np
import pytest
from PIL import Image

from demo import control
from demo.camera import PictureServer
from vision import head_pose


def shown(*lines: str) -> np.ndarray:
    """Do what the lines say, and return what the camera then shows."""
    server = PictureServer()
    for line in lines:
        control.perform(server, line, 1)
    return np.asarray(Image.open(io.BytesIO(server.shown().jpeg)).convert("RGB"))


def yaw(detector, *lines: str) -> float:
    (face,) = detector.detect(shown(*lines))
    return head_pose(face.landmarks).yaw


def test_a_turned_head_is_turned(detector) -> None:
    front = yaw(detector, "stand hopper")
    assert yaw(detector, "stand hopper left") - front > 0.1
    assert yaw(detector, "stand hopper right") - front < -0.1


def test_nobody_stays_when_it_is_empty_again(detector) -> None:
    assert detector.detect(shown("stand hopper"))
    assert not detector.detect(shown("stand hopper", "empty"))


@pytest.mark.parametrize("line", ["", "visit", "stand nobody", "stand hopper up", "dance"])
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(control.CommandError):
        control.perform(PictureServer(), line, 1)


def test_each_complaint_is_told_once() -> None:
    log = "a WARNING b\nan INFO c\na WARNING b\nan ERROR d"
    assert list(control.complaints(log)) == ["a WARNING b", "an ERROR d"]
