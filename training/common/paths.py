"""Makes the product's `vision` package importable, so that what is measured is what runs."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def use_vision() -> None:
    """Put custom_components/face_lock on sys.path; `import vision` works afterwards."""
    folder = str(ROOT / "custom_components" / "face_lock")
    if folder not in sys.path:
        sys.path.insert(0, folder)
