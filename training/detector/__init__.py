"""The face detector: model, data, training, evaluation and export."""

from training.common.paths import use_vision

# Evaluation decodes with the product's own detector.
use_vision()
