"""Liveness from one picture, only to deny: model, data, training, evaluation and export."""
