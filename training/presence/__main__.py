"""Command line of the presence gate: ``python -m training.presence STEP --config FILE``."""

from training.presence.steps import main

raise SystemExit(main())
