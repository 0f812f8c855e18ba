"""Target assignment and losses of the detector.

Cells are assigned to faces by SimOTA (Ge et al. 2021, "YOLOX"); boxes learn by EIoU (Zhang et al.
2022, "Focal and Efficient IOU Loss"), landmarks by smooth L1 in units of the face's size. Class and
objectness follow labels and, softly, a teacher that saw the picture before it was darkened.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.detector.data import Labels
from training.detector.model import LANDMARKS, STRIDES, Maps

# How far from a face's centre a cell may answer for it, in cells (YOLOX).
_CENTRE_RADIUS = 2.5
# A face takes as many cells as the sum of its best ten overlaps says (YOLOX).
_BEST_OVERLAPS = 10
# Cells in which the teacher sees something: their class follows the teacher as well.
_TEACHER_SEES = 0.1


@dataclass(frozen=True)
class Cells:
    """All cells of all strides of N pictures, C a picture: one row each.

    `cls`, `obj` logits [N,C]; `boxes` [N,C,4] x1, y1, x2, y2 and `landmarks` [N,C,5,2] in pixels;
    `positions` [C,2] the x, y of the cell's corner in pixels; `strides` [C].
    """

    cls: Tensor
    obj: Tensor
    boxes: Tensor
    landmarks: Tensor
    positions: Tensor
    strides: Tensor

    @property
    def scores(self) -> Tensor:
        """sqrt(cls * obj) of each cell, [N,C] in 0..1."""
        return torch.sqrt(torch.sigmoid(self.cls) * torch.sigmoid(self.obj))


def to_cells(outputs: list[Maps]) -> Cells:
    """Decode the maps of the three strides into pixels."""
    cls, obj, boxes, landmarks, positions, strides = [], [], [], [], [], []
    for stride, maps in zip(STRIDES, outputs, strict=True):
        number, _, height, width = maps.cls.shape
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        cell = torch.stack([columns, rows], -1).reshape(-1, 2).to(maps.cls.dtype)
        box = maps.box.flatten(2).transpose(1, 2)
        centre = (cell + box[..., :2]) * stride
        # The limit keeps a diverging exponent finite; no face is e^6 cells wide.
        half = torch.exp(box[..., 2:].clamp(max=6.0)) * (stride / 2)
        boxes.append(torch.cat([centre - half, centre + half], -1))
        points = maps.kps.flatten(2).transpose(1, 2).reshape(number, -1, LANDMARKS, 2)
        landmarks.append((cell[:, None] + points) * stride)
        cls.append(maps.cls.flatten(1))
        obj.append(maps.obj.flatten(1))
        positions.append(cell * stride)
        strides.append(torch.full((height * width,), float(stride)))
    return Cells(
        torch.cat(cls, 1),
        torch.cat(obj, 1),
        torch.cat(boxes, 1),
        torch.cat(landmarks, 1),
        torch.cat(positions),
        torch.cat(strides),
    )


def pair_iou(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of every box [A,4] with every box [B,4]: [A,B]."""
    sides = torch.minimum(one[:, None, 2:], other[:, 2:]) - torch.maximum(
        one[:, None, :2], other[:, :2]
    )
    common = sides.clamp(min=0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (one, other)]
    return common / (areas[0][:, None] + areas[1] - common).clamp(min=1e-6)


@dataclass(frozen=True)
class Assignment:
    """For one picture of C cells: `face` int[C], index of the face a cell answers for, -1 for none;
    `overlap` float[C], its box's IoU with that face, 0 where there is none; `ignored` bool[C].
    """  # noqa: D205 - one sentence describes the three

    face: Tensor
    overlap: Tensor
    ignored: Tensor


@torch.no_grad()
def assign(cells: Cells, index: int, labels: Labels) -> Assignment:
    """Assign picture `index`'s cells to its sure faces by SimOTA; ignore the other faces' boxes."""
    count = len(cells.strides)
    face = torch.full((count,), -1, dtype=torch.long)
    overlap = torch.zeros(count)
    middles = cells.positions + cells.strides[:, None] / 2
    boxes = torch.from_numpy(labels.boxes).to(cells.boxes.dtype)
    sure = torch.from_numpy(labels.sure)
    ignored = _inside(middles, boxes[~sure]).any(1)
    wanted = torch.nonzero(sure).flatten()
    if len(wanted):
        targets = boxes[wanted]
        inside = _inside(middles, targets)
        distance = (middles[:, None] - (targets[:, :2] + targets[:, 2:]) / 2).abs().amax(-1)
        near = distance < _CENTRE_RADIUS * cells.strides[:, None]
        ious = pair_iou(cells.boxes[index], targets)
        scores = cells.scores[index].clamp(1e-6, 1 - 1e-6)
        cost = -scores.log()[:, None] - 3.0 * ious.clamp(min=1e-6).log()
        # Cells both inside the box and near its centre come first; those with neither, never.
        cost = cost + 1e5 * ~(inside & near) + 1e9 * ~(inside | near)
        matched = torch.zeros_like(cost, dtype=torch.bool)
        best = ious.topk(min(_BEST_OVERLAPS, count), dim=0).values.sum(0).int().clamp(min=1)
        for column, number in enumerate(best.tolist()):
            chosen = cost[:, column].topk(number, largest=False)
            matched[chosen.indices[chosen.values < 1e8], column] = True
        # A cell that two faces want answers for the cheaper one.
        cost = torch.where(matched, cost, torch.inf)
        taken = torch.nonzero(matched.any(1)).flatten()
        choice = cost[taken].argmin(1)
        face[taken] = wanted[choice]
        overlap[taken] = ious[taken, choice]
    return Assignment(face, overlap, ignored & (face < 0))


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Whether points [C,2] lie in boxes [F,4]: bool[C,F]."""
    return ((points[:, None] > boxes[:, :2]) & (points[:, None] < boxes[:, 2:])).all(-1)


def eiou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """EIoU loss of K boxes [K,4] against K targets: [K]."""
    sides = torch.minimum(boxes[:, 2:], targets[:, 2:]) - torch.maximum(
        boxes[:, :2], targets[:, :2]
    )
    common = sides.clamp(min=0).prod(1)
    sizes, wanted = boxes[:, 2:] - boxes[:, :2], targets[:, 2:] - targets[:, :2]
    iou = common / (sizes.prod(1) + wanted.prod(1) - common).clamp(min=1e-6)
    hull = torch.maximum(boxes[:, 2:], targets[:, 2:]) - torch.minimum(boxes[:, :2], targets[:, :2])
    squared = hull.square().clamp(min=1e-6)
    centres = (boxes[:, :2] + boxes[:, 2:] - targets[:, :2] - targets[:, 2:]) / 2
    return (
        1
        - iou
        + centres.square().sum(1) / squared.sum(1)
        + ((sizes - wanted).square() / squared).sum(1)
    )


@dataclass(frozen=True)
class LossWeights:
    """Weights of the parts, and how much of class and objectness the teacher decides (0..1).

    `features` weighs how far the pyramid is from the teacher's (`feature_loss`).
    `landmark_knee`: from this error on, as a share of the face's size, landmarks cost linearly.
    """

    box: float = 3.0
    landmarks: float = 8.0
    teacher: float = 0.7
    features: float = 0.0
    landmark_knee: float = 0.02


def detection_loss(
    cells: Cells, labels: list[Labels], teacher: Cells | None, weights: LossWeights
) -> dict[str, Tensor]:
    """Return the parts of the loss, each already weighted, averaged over assigned cells.

    `teacher` are the teacher's cells on the same pictures, undarkened; None: labels alone.
    """
    assignments = [assign(cells, index, faces) for index, faces in enumerate(labels)]
    face = torch.stack([one.face for one in assignments])
    overlap = torch.stack([one.overlap for one in assignments])
    ignored = torch.stack([one.ignored for one in assignments])
    positive = face >= 0
    number = positive.sum().clamp(min=1)

    obj_target, obj_weight = positive.float(), (~ignored).float()
    cls_target, cls_weight = overlap, positive.float()
    if teacher is not None:
        share = weights.teacher
        obj_soft, cls_soft = torch.sigmoid(teacher.obj), torch.sigmoid(teacher.cls)
        # An ignored box says nothing: there the teacher alone decides.
        obj_target = torch.where(ignored, obj_soft, (1 - share) * obj_target + share * obj_soft)
        obj_weight = torch.where(ignored, share, 1.0)
        mixed = (1 - share) * overlap + share * cls_soft
        cls_target = torch.where(positive, mixed, cls_soft)
        seen = teacher.scores > _TEACHER_SEES
        cls_weight = torch.where(positive, 1.0, share * seen.float())
    parts = {
        "obj": _bce(cells.obj, obj_target, obj_weight) / number,
        "cls": _bce(cells.cls, cls_target, cls_weight) / number,
    }

    pictures, rows = torch.nonzero(positive, as_tuple=True)
    boxes, points = _targets(labels, pictures, face[pictures, rows])
    found = cells.boxes[pictures, rows]
    size = (boxes[:, 2:] - boxes[:, :2]).mean(1).clamp(min=1.0)
    error = (cells.landmarks[pictures, rows] - points) / size[:, None, None]
    # Large errors count linearly: labels of turned faces are rough.
    smooth = functional.smooth_l1_loss(
        error, torch.zeros_like(error), reduction="sum", beta=weights.landmark_knee
    )
    parts["box"] = weights.box * eiou_loss(found, boxes).sum() / number
    parts["kps"] = weights.landmarks * smooth / LANDMARKS / number
    return parts


def feature_loss(seen: list[Tensor], taught: list[Tensor]) -> Tensor:
    """Squared distance of features from a teacher's over the teacher's own square, mean of levels.

    A teacher that saw the picture before it was darkened says what each place looks like there,
    with a face or without (Romero et al. 2015, "FitNets"): what few pictures show is kept.
    """
    levels = [
        (one - other).square().mean() / other.square().mean().clamp(min=1e-6)
        for one, other in zip(seen, taught, strict=True)
    ]
    return torch.stack(levels).mean()


def _bce(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, targets, weight, reduction="sum")


def _targets(labels: list[Labels], pictures: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Collect boxes [K,4] and landmarks [K,5,2] of the assigned faces."""
    pairs = list(zip(pictures.tolist(), faces.tolist(), strict=True))
    boxes = [torch.from_numpy(labels[picture].boxes[face]) for picture, face in pairs]
    points = [torch.from_numpy(labels[picture].landmarks[face]) for picture, face in pairs]
    if not pairs:
        return torch.zeros(0, 4), torch.zeros(0, LANDMARKS, 2)
    return torch.stack(boxes), torch.stack(points)
