"""Decoding, assignment and losses."""

import numpy as np
import pytest
import torch

from training.detector.data import Labels
from training.detector.losses import (
    LossWeights,
    assign,
    detection_loss,
    eiou_loss,
    feature_loss,
    pair_iou,
    to_cells,
)
from training.detector.model import STRIDES, Maps
from vision.networks.detector import decode

SIZE = 128
POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], dtype=np.float32)


def faces(*boxes: tuple[float, float, float, float], sure: bool = True) -> Labels:
    array = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    points = array[:, None, :2] + POINTS * (array[:, None, 2:] - array[:, None, :2])
    return Labels(array, points, np.full(len(array), sure))


def empty_maps() -> list[Maps]:
    """Maps that see nothing, with boxes of one cell."""
    fills = ((1, -8.0), (1, -8.0), (4, 0.0), (10, 0.0))
    return [
        Maps(*(torch.full((1, depth, SIZE // s, SIZE // s), fill) for depth, fill in fills))
        for s in STRIDES
    ]


def write(maps: list[Maps], labels: Labels, stride: int) -> None:
    """Encode each face in the cell of its centre, by hand."""
    level = maps[STRIDES.index(stride)]
    for box, points in zip(labels.boxes, labels.landmarks, strict=True):
        centre = (box[:2] + box[2:]) / 2 / stride
        column, row = (int(value) for value in centre)
        level.cls[0, 0, row, column] = level.obj[0, 0, row, column] = 8.0
        size = np.log((box[2:] - box[:2]) / stride)
        offsets = np.concatenate([centre - (column, row), size])
        level.box[0, :, row, column] = torch.from_numpy(offsets.astype(np.float32))
        shifted = (points / stride - (column, row)).ravel().astype(np.float32)
        level.kps[0, :, row, column] = torch.from_numpy(shifted)


@pytest.mark.parametrize("stride", STRIDES)
def test_training_and_the_door_decode_alike(stride: int) -> None:
    labels = faces((20, 30, 52, 70), (80, 60, 115, 101))
    maps = empty_maps()
    write(maps, labels, stride)
    cells = to_cells(maps)
    sure = cells.scores[0] > 0.5
    np.testing.assert_allclose(cells.boxes[0][sure], labels.boxes, atol=1e-3)
    np.testing.assert_allclose(cells.landmarks[0][sure], labels.landmarks, atol=1e-3)

    named = {}
    for step, level in zip(STRIDES, maps, strict=True):
        score = torch.sqrt(torch.sigmoid(level.cls) * torch.sigmoid(level.obj))
        outputs = {"score": score, "box": level.box, "kps": level.kps}
        named |= {f"{kind}_{step}": value.numpy() for kind, value in outputs.items()}
    found = decode(named, 0.5)
    np.testing.assert_allclose(found.boxes, labels.boxes, atol=1e-3)
    np.testing.assert_allclose(found.landmarks, labels.landmarks, atol=1e-3)


def test_cells_answer_for_the_face_around_them() -> None:
    labels = faces((10, 10, 50, 60), (70, 60, 120, 120))
    cells = to_cells(empty_maps())
    assigned = assign(cells, 0, labels)
    assert set(assigned.face.tolist()) == {-1, 0, 1}
    middles = cells.positions + cells.strides[:, None] / 2
    for index, box in enumerate(labels.boxes):
        own = middles[assigned.face == index]
        assert len(own) >= 1
        assert (own > torch.from_numpy(box[:2])).all()
        assert (own < torch.from_numpy(box[2:])).all()
    assert not assigned.ignored.any()


def test_a_cell_with_the_right_box_is_chosen_and_its_overlap_is_one() -> None:
    labels = faces((20, 30, 52, 70))
    maps = empty_maps()
    write(maps, labels, 16)
    cells = to_cells(maps)
    assigned = assign(cells, 0, labels)
    best = int(cells.scores[0].argmax())
    assert assigned.face[best] == 0
    assert float(assigned.overlap[best]) == pytest.approx(1.0, abs=1e-4)


def test_unsure_faces_are_ignored_not_background() -> None:
    cells = to_cells(empty_maps())
    assigned = assign(cells, 0, faces((10, 10, 50, 60), sure=False))
    assert (assigned.face == -1).all()
    assert assigned.ignored.any()
    middles = cells.positions + cells.strides[:, None] / 2
    inside = ((middles > torch.tensor([10.0, 10])) & (middles < torch.tensor([50.0, 60]))).all(1)
    assert torch.equal(assigned.ignored, inside)


def test_overlap_measures() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10]])
    np.testing.assert_allclose(pair_iou(boxes, boxes), [[1, 1 / 3], [1 / 3, 1]], atol=1e-6)
    same, other = eiou_loss(boxes[[0, 0]], boxes)
    assert float(same) == pytest.approx(0.0, abs=1e-6)
    # 1 - IoU + (centre distance / hull diagonal) squared; the sizes agree.
    assert float(other) == pytest.approx(1 - 1 / 3 + 25 / 325, abs=1e-5)


def test_loss_prefers_the_truth_and_a_picture_without_faces_costs_nothing_more() -> None:
    labels = faces((20, 30, 52, 70))
    right, wrong = empty_maps(), empty_maps()
    write(right, labels, 16)
    write(wrong, faces((70, 60, 120, 120)), 16)
    weights = LossWeights()

    def total(maps: list[Maps], wanted: Labels) -> float:
        parts = detection_loss(to_cells(maps), [wanted], None, weights)
        assert all(torch.isfinite(part) for part in parts.values())
        return float(torch.stack(list(parts.values())).sum())

    assert total(right, labels) < 0.5 * total(wrong, labels)
    assert total(empty_maps(), faces()) < 1.0


def test_teacher_softens_the_target() -> None:
    """Where teacher and labels agree on nothing, a quiet student is right either way."""
    maps = empty_maps()
    teacher = empty_maps()
    write(teacher, faces((70, 60, 120, 120)), 16)
    weights = LossWeights(teacher=0.5)
    alone = detection_loss(to_cells(maps), [faces()], None, weights)
    taught = detection_loss(to_cells(maps), [faces()], to_cells(teacher), weights)
    assert float(taught["obj"]) > float(alone["obj"]) + 1.0
    assert float(taught["cls"]) > 1.0


def test_features_cost_their_share_of_the_teachers_and_nothing_when_equal() -> None:
    taught = [torch.rand(1, 4, size, size) + 1 for size in (8, 4, 2)]
    assert float(feature_loss(taught, taught)) == 0.0
    # Ten per cent off is one per cent of the square, on every level whatever its size.
    off = [level * 1.1 for level in taught]
    assert float(feature_loss(off, taught)) == pytest.approx(0.01, rel=1e-3)
    assert float(feature_loss([off[0], *taught[1:]], taught)) == pytest.approx(0.01 / 3, rel=1e-3)


def test_the_knee_decides_what_small_landmark_errors_cost() -> None:
    labels = faces((20, 30, 52, 70))
    maps = empty_maps()
    # All other boxes are points: SimOTA takes as many cells as fit, this one alone.
    for level in maps:
        level.box[:, 2:] = -10.0
    write(maps, labels, 16)
    near = Labels(labels.boxes, labels.landmarks + np.float32(0.36), labels.sure)

    def cost(knee: float) -> float:
        weights = LossWeights(landmark_knee=knee)
        return float(detection_loss(to_cells(maps), [near], None, weights)["kps"])

    # 1 % of the face: past a knee of 0.5 %, halfway to one of 2 %.
    assert cost(0.005) / cost(0.02) == pytest.approx(0.0075 / 0.0025, rel=0.02)
