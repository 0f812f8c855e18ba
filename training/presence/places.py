"""Pictures without people, out of packages that anyone can fetch.

- npm `@pmndrs/assets`: 18 panoramas of Poly Haven (CC0), each an OpenEXR file inside a JavaScript
  module: rooms, halls, streets, woods.
- Debian wallpaper packages (CC-BY, CC-BY-SA, GPL): photographs, chosen by eye so that none shows
  anybody.
- Debian `tuxpaint-stamps-default` (GPL): cut-out photographs of animals, fruit, signs, letters,
  tools: things that are not people, to be pasted where people could be.

Nothing of them is redistributed. Versions are pinned: the Debian ones are those of Debian 12.
"""

from __future__ import annotations

import base64
import logging
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

_LOGGER = logging.getLogger(__name__)

SIZE = (320, 240)
"""Width and height of a panorama's view, which spans 80 degrees sideways."""

_FIELD = 80.0
_TURNS = range(0, 360, 45)

# Longest sides of what is kept: a view of 96 rows needs no more.
_PHOTOGRAPH = 640
_THING = 128


@dataclass(frozen=True)
class Package:
    """A package of a registry: `name` at `version`, fetched by npm or apt."""

    manager: Literal["npm", "apt"]
    name: str
    version: str

    def fetch(self, folder: Path) -> Path:
        """Download and unpack the package under `folder`; return where its content is.

        Raises:
            FileNotFoundError: npm, apt-get or dpkg-deb is not installed.
            subprocess.CalledProcessError: the registry does not have this version.

        """
        content = folder / re.sub(r"\W+", "-", self.name).strip("-")
        if content.is_dir():
            return content
        with tempfile.TemporaryDirectory(dir=folder) as download:
            inside = Path(download)
            if self.manager == "npm":
                _run(["npm", "pack", "--silent", f"{self.name}@{self.version}"], inside)
                archive = next(inside.glob("*.tgz"))
                _run(["tar", "-xzf", archive.name], inside)
                (inside / "package").rename(content)
            else:
                _run(["apt-get", "download", "-q", f"{self.name}={self.version}"], inside)
                archive = next(inside.glob("*.deb"))
                _run(["dpkg-deb", "-x", archive.name, "content"], inside)
                (inside / "content").rename(content)
        return content


PANORAMAS = Package("npm", "@pmndrs/assets", "1.7.0")

PHOTOGRAPHS: dict[Package, tuple[str, ...]] = {
    Package("apt", "lomiri-wallpapers-16.04", "20.04.0-2"): tuple(
        f"usr/share/backgrounds/{name}_by_*.jpg"
        for name in (
            *("Bridge", "Dragonfly", "Picture_0B", "Picture_1A", "Wine", "aitzgorri", "free"),
            *("friends", "greentock", "life", "picosdeeuropa", "seeding", "sunset"),
        )
    ),
    Package("apt", "lomiri-wallpapers-20.04", "20.04.0-2"): (
        "usr/share/backgrounds/Kleiber_by_*.jpg",
    ),
    Package("apt", "mate-backgrounds", "1.26.0-1"): ("usr/share/backgrounds/mate/nature/*.jpg",),
    Package("apt", "plasma-workspace-wallpapers", "4:5.27.5-2"): tuple(
        f"usr/share/wallpapers/{name}/contents/images/{size}.*"
        for name, size in (
            *((name, "1280x800") for name in ("BytheWater", "ColdRipple", "DarkestHour")),
            *((name, "1280x800") for name in ("EveningGlow", "FallenLeaf", "Grey", "Kite")),
            *((name, "1280x800") for name in ("OneStandsOut", "Path", "summer_1am")),
            *(("ColorfulCups", "2560x1600"), ("Volna", "5120x2880")),
        )
    ),
}

THINGS = Package("apt", "tuxpaint-stamps-default", "2022.06.04-1")

# Whether these are somebody is a matter of taste: faces, masks, statues, toys, heads on coins,
# signing hands.
_DOUBTFUL = re.compile(
    r"people|faces|toys|cartoon|halloween|monuments|asl|apes|christmas|easter|hanukkah|money|armor"
)


def read_panorama(path: Path) -> np.ndarray:
    """Return the linear light of a panorama module, float32[H,2H,3]."""
    import OpenEXR  # noqa: PLC0415 - needed for this step alone

    found = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text())
    if found is None:
        raise ValueError(f"{path} holds no data URI")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "panorama.exr"
        file.write_bytes(base64.b64decode(found[1]))
        channels = OpenEXR.File(str(file)).channels()
        light: np.ndarray = channels["RGB"].pixels
    return light[..., :3].astype(np.float32)


def expose(light: np.ndarray) -> np.ndarray:
    """Return uint8 sRGB-like pixels: the brightest tenth is white, gamma 2.2."""
    white = max(float(np.quantile(light.max(-1), 0.9)), 1e-6)
    return np.rint(np.clip(light / white, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def look(
    panorama: np.ndarray, turn: float, *, field: float = _FIELD, nod: float = 0.0
) -> np.ndarray:
    """Return the view uint8[240,320,3] towards `turn` degrees of uint8[H,2H,3].

    `field` degrees sideways, `nod` degrees downwards.
    """
    height, width = panorama.shape[:2]
    across, down = SIZE
    distance = across / 2 / np.tan(np.radians(field / 2))
    x, y = np.meshgrid(np.arange(across) - (across - 1) / 2, np.arange(down) - (down - 1) / 2)
    lowered = np.radians(nod)
    ahead = distance * np.cos(lowered) - y * np.sin(lowered)
    y = y * np.cos(lowered) + distance * np.sin(lowered)
    longitude = np.arctan2(x, ahead) + np.radians(turn)
    latitude = np.arctan2(y, np.hypot(x, ahead))
    column = (longitude / (2 * np.pi) % 1) * width - 0.5
    row = (latitude / np.pi + 0.5) * height - 0.5
    # Wrapped by hand: the left neighbour of the first column is the last one.
    wrapped = np.concatenate([panorama[:, -1:], panorama, panorama[:, :1]], axis=1)
    planes = [
        map_coordinates(wrapped[..., plane].astype(np.float32), [row, column + 1], order=1)
        for plane in range(3)
    ]
    return np.rint(np.clip(np.stack(planes, -1), 0, 255)).astype(np.uint8)


def unfold(package: Path, folder: Path) -> int:
    """Write eight views of every panorama in an unpacked package; return how many."""
    made = 0
    for path in sorted((package / "hdri").glob("*.exr.js")):
        panorama = expose(read_panorama(path))
        for turn in _TURNS:
            view = Image.fromarray(look(panorama, turn))
            view.save(folder / f"{path.name.split('.')[0]}-{turn:03d}.webp", quality=92)
            made += 1
    return made


def unfold_more(package: Path, folder: Path, views: int = 40) -> int:
    """Write `views` more views of every panorama, as cameras hang: askew, near and far."""
    made = 0
    for path in sorted((package / "hdri").glob("*.exr.js")):
        name = path.name.split(".")[0]
        panorama = expose(read_panorama(path))
        generator = np.random.default_rng(list(name.encode()))
        for index in range(views):
            view = look(
                panorama,
                generator.uniform(0, 360),
                field=float(np.exp(generator.uniform(np.log(25), np.log(110)))),
                nod=generator.uniform(-20, 35),
            )
            Image.fromarray(view).save(folder / f"{name}-v{index:02d}.webp", quality=92)
            made += 1
    return made


def shrink(package: Path, patterns: tuple[str, ...], folder: Path) -> int:
    """Write a small copy of the photographs that match; return how many.

    Raises:
        FileNotFoundError: a pattern matches nothing.

    """
    made = 0
    for pattern in patterns:
        found = sorted(package.glob(pattern))
        if not found:
            raise FileNotFoundError(f"{package} has no {pattern}")
        for path in found:
            # plasma-workspace-wallpapers names the picture by its folder, the file by its size.
            name = path.parts[-4] if path.parent.name == "images" else path.stem
            with Image.open(path) as picture:
                small = picture.convert("RGB")
            small.thumbnail((_PHOTOGRAPH, _PHOTOGRAPH))
            small.save(folder / f"{name}-000.webp", quality=92)
            made += 1
    return made


def gather_things(package: Path, folder: Path) -> int:
    """Write the cut-outs of an unpacked stamps package as grey with alpha; return how many."""
    stamps = package / "usr/share/tuxpaint/stamps"
    made = 0
    for path in sorted(stamps.rglob("*.png")):
        kind = path.relative_to(stamps).parent.as_posix()
        if _DOUBTFUL.search(kind):
            continue
        with Image.open(path) as picture:
            small = picture.convert("RGBA")
        small.thumbnail((_THING, _THING))
        if small.getchannel("A").getextrema()[1]:
            name = f"{kind}/{path.stem}".replace("/", ".")
            small.save(folder / f"{name}.webp", quality=92)
            made += 1
    return made


def gather(places: Path, things: Path, packages: Path, views: Path | None = None) -> dict[str, int]:
    """Fetch all packages into `packages` and write their pictures; return how many of each.

    `views` gets more views of the panoramas.

    A package that cannot be had here is left out with a warning: npm or apt may not be installed,
    and another release of Debian has other versions.
    """
    for folder in (places, things, packages):
        folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for package in (PANORAMAS, *PHOTOGRAPHS, THINGS):
        try:
            content = package.fetch(packages)
        except (OSError, subprocess.CalledProcessError) as error:
            _LOGGER.warning("%s %s is left out: %s", package.name, package.version, error)
            continue
        if package is PANORAMAS:
            made[package.name] = unfold(content, places)
            if views is not None:
                views.mkdir(parents=True, exist_ok=True)
                made[f"{package.name}, more"] = unfold_more(content, views)
        elif package is THINGS:
            made[package.name] = gather_things(content, things)
        else:
            made[package.name] = shrink(content, PHOTOGRAPHS[package], places)
    return made


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
