"""Command line of the detector: ``python -m training.detector STEP --config FILE``."""

from training.detector.steps import main

raise SystemExit(main())
