"""The network that tells upright faces from turned ones: model, data, training, evaluation."""

from training.common.paths import use_vision

# The product's own detector and alignment make the crops.
use_vision()
