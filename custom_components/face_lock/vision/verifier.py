"""Aligned crops -> embeddings: two faces are one person's when their embeddings' cosine is high."""

from __future__ import annotations

import numpy as np

from .align import CROP_SIZE
from .runtime import Session
from .types import FloatArray, RgbImage


class Verifier:
    """The bundle's face verification network."""

    def __init__(self, session: Session, *, model: str, embedding_size: int) -> None:
        """``model`` names the weights: embeddings of two models must never be compared."""
        self._session = session
        self.model = model
        self.embedding_size = embedding_size

    def embed(self, crops: RgbImage) -> FloatArray:
        """Embed uint8[N, 112, 112, 3] as float32[N, D] of unit length.

        Raises:
            ValueError: crops of another shape or type.
            RuntimeError: the network answered with something that is no embedding.

        """
        if crops.ndim != 4 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE, 3):
            raise ValueError(f"crops must be uint8[N, 112, 112, 3], not {crops.shape}")
        if crops.dtype != np.uint8:
            raise ValueError(f"crops must be uint8, not {crops.dtype}")
        if not len(crops):
            return np.zeros((0, self.embedding_size), dtype=np.float32)
        image = crops.transpose(0, 3, 1, 2).astype(np.float32)
        embeddings = self._session.run(image, ("embedding",))["embedding"]
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
        # NaN compares false: anything that is not a proper direction must stop here, since a
        # broken runtime that returned one constant vector would otherwise match everybody.
        if embeddings.shape != (len(crops), self.embedding_size) or not (
            np.isfinite(norms).all() and (norms > 0.5).all()
        ):
            raise RuntimeError("the verifier's output is not an embedding")
        unit: FloatArray = (embeddings / norms).astype(np.float32)
        return unit
