"""The face detector: model, data, training, evaluation and export."""
