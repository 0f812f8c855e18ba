"""Command line of the liveness model: ``python -m training.liveness STEP --config FILE``."""

from training.liveness.steps import main

raise SystemExit(main())
