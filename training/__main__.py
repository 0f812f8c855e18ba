"""Command line of the training pipeline."""

from training.cli import main

raise SystemExit(main())
