"""What training minimises."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def distillation_loss(embedding: Tensor, target: Tensor) -> Tensor:
    """Mean of one minus the cosine of float [N, D], both of unit length: 0 at best, 2 at worst."""
    return (1.0 - (embedding * target).sum(dim=1)).mean()


def feature_loss(maps: list[Tensor], targets: list[Tensor]) -> Tensor:
    """Mean squared error of maps [N, C, H, W], as a share of each target's variance, summed.

    FitNets' hints (Romero et al. 2015, arXiv:1412.6550): 50 places a picture say what a clean view
    would have looked like to the network, where one embedding says it once.
    """
    missed = torch.zeros(len(maps[0]), device=maps[0].device)
    for ours, theirs in zip(maps, targets, strict=True):
        error = (ours.float() - theirs.float()).square().mean((1, 2, 3))
        missed = missed + error / (theirs.float().var((1, 2, 3)) + 1e-3)
    return missed.mean()


def one_camera(camera: Tensor) -> Tensor:
    """Which pairs of different pictures are of one camera: bool [N, N] of int [N]."""
    return (camera[:, None] == camera[None]).fill_diagonal_(False)


def relation_loss(embedding: Tensor, target: Tensor, camera: Tensor) -> Tensor:
    """Mean squared difference between the cosines of one camera's pictures and of their targets.

    float [N, D] of unit length, int [N]. What all pictures of a camera have in common, its noise
    and its colours, makes strangers alike; one picture's own target does not say so, its relation
    to the others does (Park et al. 2019, arXiv:1904.05068).
    """
    pairs = one_camera(camera)
    if not pairs.any():
        return embedding.sum() * 0.0
    return (embedding @ embedding.T - target @ target.T)[pairs].square().mean()


# Pictures whose targets are closer than this may well be one person twice.
ALIKE = 0.5


def apart_loss(embedding: Tensor, target: Tensor, camera: Tensor, *, temperature: float) -> Tensor:
    """Soft maximum of each picture's cosines with other people before the same camera, the mean.

    float [N, D] of unit length, int [N]; pairs whose targets are alike do not count. It is the
    uniformity of Wang and Isola (2020, arXiv:2005.10242), each picture on its own: no neighbourhood
    is to be more crowded than another, by night as by day.
    """
    different = one_camera(camera) & ((target @ target.T) < ALIKE)
    counted = different.any(dim=1)
    if not counted.any():
        return embedding.sum() * 0.0
    cosine = (embedding @ embedding.T).masked_fill(~different, -torch.inf)[counted]
    soft = torch.logsumexp(cosine / temperature, dim=1) - different[counted].sum(dim=1).log()
    return temperature * soft.mean()


class ArcFace(nn.Module):
    """Additive angular margin over people (Deng et al. 2019, arXiv:1801.07698)."""

    def __init__(
        self,
        people: int,
        embedding: int,
        *,
        margin: float,
        scale: float,
        centres: Tensor | None = None,
    ) -> None:
        """Start from `centres` float [people, embedding], or from random ones.

        A network that recognises already would spend its training on finding random centres.
        """
        super().__init__()
        random = torch.randn(people, embedding) * embedding**-0.5
        self.centres = nn.Parameter(random if centres is None else centres.clone())
        self.margin = margin
        self.scale = scale

    def forward(self, embedding: Tensor, person: Tensor) -> Tensor:
        """Cross entropy of unit-length float [N, D] and person int [N]; rows of -1 are left out."""
        known = person >= 0
        if not known.any():
            return embedding.sum() * 0.0
        embedding, person = embedding[known], person[known]
        cosine = functional.linear(embedding, functional.normalize(self.centres))
        angle = torch.acos(cosine.clamp(-1.0 + 1e-6, 1.0 - 1e-6))
        own = functional.one_hot(person, len(self.centres)).bool()
        # Past pi the cosine would rise again; the margin stops there.
        with_margin = torch.cos((angle + self.margin).clamp(max=torch.pi))
        return functional.cross_entropy(self.scale * torch.where(own, with_margin, cosine), person)
