"""The network that tells upright faces from turned ones: model, data, training, evaluation."""
