"""Compare recognition between C libraries and runtimes: same faces, same embeddings, same people.

    python benchmarks/parity.py measure RUNTIME OUT.npz [--libc musl]
    python benchmarks/parity.py compare CANDIDATE.npz REFERENCE.npz ...

``measure`` finds and embeds every face in the test pictures and among the demo's visitors;
``--libc`` makes it fail if another C library is loaded. ``compare`` prints one table and exits with
1 if the candidate differs from a reference. `scripts/musl` does both.
"""

from __future__ import annotations

import argparse
import platform
import sys
import sysconfig
from pathlib import Path
from typing import Final

import numpy as np

import vision

ROOT = Path(__file__).resolve().parent.parent

MIN_COSINE: Final = 0.9999
"""The similarity of a pair then changes by at most 0.014, and nearly always by far less."""
MAX_LANDMARK_PX: Final = 0.5


def pictures() -> list[Path]:
    """List every picture of the tests and of the demo's visitors."""
    folders = (ROOT / "tests" / "pictures", ROOT / "demo" / "visitors")
    return [p for f in folders for p in sorted(f.iterdir()) if p.suffix in (".jpg", ".webp")]


def loaded_libc() -> set[str]:
    """Name the C libraries that are mapped into this process (Linux)."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    mapped = {Path(line.split(maxsplit=5)[5]).resolve() for line in maps if line.count("/")}
    found: set[str] = set()
    for path in mapped:
        if path.name.startswith(("ld-linux", "libc.so.6", "libc-2.")):
            found.add("glibc")
        elif path.name.startswith(("ld-musl", "libc.so")):
            found.add("musl")
    return found


def measure(runtime: str, out: Path, libc: str | None) -> int:
    """Find and embed every face and write them to ``out``."""
    bundle = vision.load_bundle(runtime=runtime)
    names: list[str] = []
    landmarks: list[np.ndarray] = []
    embeddings: list[np.ndarray] = []
    pixels: list[int] = []
    for path in pictures():
        rgb = vision.decode_rgb(path.read_bytes())
        pixels.append(int(rgb.sum(dtype=np.int64)))
        faces = sorted(bundle.detector.detect(rgb), key=lambda f: tuple(f.landmarks.mean(axis=0)))
        for number, face in enumerate(faces):
            names.append(f"{path.parent.name}/{path.name}#{number}")
            landmarks.append(face.landmarks)
            embeddings.append(bundle.verifier.embed(vision.align(rgb, face.landmarks)[None])[0])
    np.savez(out, names=names, landmarks=landmarks, embeddings=embeddings, pixels=pixels)
    found = loaded_libc()
    print(
        f"CPython {platform.python_version()} ({sysconfig.get_config_var('SOABI')}), "
        f"{bundle.info.runtime} {bundle.info.runtime_version}; "
        f"C library in /proc/self/maps: {', '.join(sorted(found))}"
    )
    if libc is not None and found != {libc}:
        print(f"this process should have loaded {libc} alone", file=sys.stderr)
        return 1
    return 0


def best_matches(embeddings: np.ndarray) -> np.ndarray:
    """Return, for each face, the index of the most similar other one."""
    similarity = vision.pairwise_scores(embeddings, embeddings)
    np.fill_diagonal(similarity, -np.inf)
    return similarity.argmax(axis=1)


def difference(candidate: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> list[str]:
    """Return the cells of one row of the table; the last says whether they agree."""
    if candidate["names"].tolist() != reference["names"].tolist() or not len(candidate["names"]):
        return ["-", "-", "-", "-", "-", "NO: not the same faces"]
    ours, theirs = candidate["embeddings"], reference["embeddings"]
    cosine = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1)
    cosine /= np.linalg.norm(theirs, axis=1)
    moved = np.linalg.norm(candidate["landmarks"] - reference["landmarks"], axis=2).max()
    drift = np.abs(ours @ ours.T - theirs @ theirs.T).max()
    same = int((best_matches(ours) == best_matches(theirs)).sum())
    pixels = int((candidate["pixels"] == reference["pixels"]).sum())
    # Written so that a NaN disagrees.
    agree = cosine.min() >= MIN_COSINE and moved <= MAX_LANDMARK_PX and same == len(ours)
    return [
        f"{pixels} of {len(candidate['pixels'])}",
        f"{cosine.min():.7f}",
        f"{drift:.7f}",
        f"{moved:.5f}",
        f"{same} of {len(ours)}",
        "yes" if agree else "NO",
    ]


def compare(candidate: Path, references: list[Path]) -> int:
    """Print how the candidate differs from each reference; return 1 if it does not agree."""
    loaded = {path: dict(np.load(path)) for path in (candidate, *references)}
    titles = (
        "same pixels",
        "lowest cosine",
        "similarity moved",
        "landmark moved, px",
        "same best match",
        "agree",
    )
    first = f"{candidate.stem}, {len(loaded[candidate]['names'])} faces, against"
    print(first.ljust(34) + "".join(title.rjust(20) for title in titles))
    agreed = True
    for path in references:
        cells = difference(loaded[candidate], loaded[path])
        agreed &= cells[-1] == "yes"
        print(path.stem.ljust(34) + "".join(cell.rjust(20) for cell in cells))
    return 0 if agreed else 1


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("measure")
    one.add_argument("runtime", choices=("ncnn", "onnxruntime"))
    one.add_argument("out", type=Path)
    one.add_argument("--libc", choices=("musl", "glibc"), help="fail where another is loaded")
    two = commands.add_parser("compare")
    two.add_argument("candidate", type=Path)
    two.add_argument("references", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "measure":
        return measure(arguments.runtime, arguments.out, arguments.libc)
    return compare(arguments.candidate, arguments.references)


if __name__ == "__main__":
    sys.exit(main())
