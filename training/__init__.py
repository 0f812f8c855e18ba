"""Training pipeline for the models that Face Lock bundles."""
