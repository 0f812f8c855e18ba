"""Turns aligned crops into embeddings, which ``matching/similarity.py`` compares."""

from __future__ import annotations

import numpy as np

from ..imaging.align import CROP_SIZE
from ..matching.similarity import MAX_CROWDING
from ..types import FloatArray, RgbImage
from .runtime import Session


class Embedder:
    """The bundle's face verification network."""

    def __init__(
        self, session: Session, *, model: str, directions: int, crowding: bool = True
    ) -> None:
        """Take a network that gives float32[N, ``directions``], and float32[N, 1] if ``crowding``.

        ``model`` names the weights: embeddings of different models must never be compared. Without
        an output for the crowding, no face counts as crowded.
        """
        self._session = session
        self.model = model
        self.embedding_size = directions + 1
        """Length of an embedding: its direction and the crowding."""
        self._outputs = ("embedding", "crowding") if crowding else ("embedding",)

    def embed(self, crops: RgbImage) -> FloatArray:
        """Embed uint8[N, 112, 112, 3] as float32[N, D + 1]: unit directions, and their crowding.

        Raises:
            ValueError: the crops have another shape or type.
            RuntimeError: the network's answer is not an embedding.

        """
        if crops.ndim != 4 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE, 3):
            raise ValueError(f"crops must be uint8[N, 112, 112, 3], not {crops.shape}")
        if crops.dtype != np.uint8:
            raise ValueError(f"crops must be uint8, not {crops.dtype}")
        if not len(crops):
            return np.zeros((0, self.embedding_size), dtype=np.float32)
        image = crops.transpose(0, 3, 1, 2).astype(np.float32)
        answer = self._session.run(image, self._outputs)
        directions = answer["embedding"]
        crowding = np.zeros((len(crops), 1), dtype=np.float32)
        if "crowding" in self._outputs:
            crowding = answer["crowding"]
        norms = np.linalg.norm(directions, axis=-1, keepdims=True)
        # NaN compares false. Anything that is not a proper direction must stop here: a broken
        # runtime that returned one constant vector would otherwise match everybody.
        if (
            directions.shape != (len(crops), self.embedding_size - 1)
            or crowding.shape != (len(crops), 1)
            or not (np.isfinite(norms).all() and (norms > 0.5).all())
            or not ((crowding >= 0.0) & (crowding <= MAX_CROWDING)).all()
        ):
            raise RuntimeError("the verifier's output is not an embedding")
        embeddings: FloatArray = np.hstack([directions / norms, crowding]).astype(np.float32)
        return embeddings
