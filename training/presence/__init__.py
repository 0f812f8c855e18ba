"""The presence gate: is anybody in view? Model, data, training, evaluation and export."""
