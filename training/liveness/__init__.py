"""Liveness from one picture, only to deny: model, data, training, evaluation and export."""

from training.common.paths import use_vision

# Faces are found by the product's own detector.
use_vision()
