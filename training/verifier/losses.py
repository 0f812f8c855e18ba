"""What training minimises."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def distillation_loss(embedding: Tensor, target: Tensor) -> Tensor:
    """Mean of one minus the cosine of float [N, D], both of unit length: 0 at best, 2 at worst."""
    return (1.0 - (embedding * target).sum(dim=1)).mean()


class ArcFace(nn.Module):
    """Additive angular margin over people (Deng et al. 2019, arXiv:1801.07698)."""

    def __init__(self, people: int, embedding: int, *, margin: float, scale: float) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(people, embedding) * embedding**-0.5)
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
