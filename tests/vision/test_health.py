"""Cameras that show nothing any more, and quiet scenes that are none of those."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vision import decode_grey, encode_jpeg
from vision.imaging.health import Ailment, PictureHealth

FROZEN, PLACEHOLDER = Ailment.FROZEN, Ailment.PLACEHOLDER
SIZE = (640, 360)


def clock(image, second, at=(8, 4)):
    ImageDraw.Draw(image).text(at, f"2026-11-26 03:{second // 60:02}:{second % 60:02}", (255,) * 3)
    return image


@pytest.fixture(scope="module")
def porch():
    """A porch: no two places quite alike."""
    rng = np.random.default_rng(7)
    rough = Image.fromarray(rng.integers(40, 200, (12, 20, 3)).astype(np.uint8))
    return rough.resize(SIZE, Image.Resampling.BICUBIC)


def grey(image, quality=90):
    return decode_grey(encode_jpeg(np.asarray(image), quality=quality))


def watch(pictures, every=1.0, reports=()):
    """Show pictures one after the other; return what was found, and when first."""
    health, found = PictureHealth(), {}
    for n, picture in enumerate(pictures):
        now = 100.0 + n * every
        for report in reports:
            if now - every < 100.0 + report <= now:
                health.report(100.0 + report)
        health.look(picture, now)
        if health.ailment is not None:
            found.setdefault(health.ailment, n * every)
    return health.ailment, found


def noisy(porch, light, sigma, seconds, quality=90):
    rng = np.random.default_rng(1)
    pixels = np.asarray(porch, dtype=np.float32) * light
    for _ in range(seconds):
        frame = (pixels + rng.normal(0, sigma, pixels.shape)).clip(0, 255).astype(np.uint8)
        yield grey(Image.fromarray(frame), quality)


class TestFrozen:
    def test_a_picture_that_is_repeated_is_no_fault_by_itself(self, porch):
        same = grey(porch)
        assert watch([same] * 4000) == (None, {})
        assert watch([same.copy() for _ in range(400)]) == (None, {})

    def test_it_is_one_if_somebody_was_reported_again_and_again(self, porch):
        same = grey(porch)
        ailment, found = watch([same] * 200, reports=(20, 60, 90))
        assert ailment is FROZEN
        assert 90 < found[FROZEN] <= 100

    @pytest.mark.parametrize("reports", [(20, 60), (20, 21, 22, 23, 24), (195, 197, 199)])
    def test_a_few_reports_may_be_of_what_the_camera_does_not_see(self, porch, reports):
        assert watch([grey(porch)] * 200, reports=reports) == (None, {})

    def test_who_was_reported_and_seen_contradicts_nothing(self, porch):
        pictures = [grey(porch)] * 300
        visitor = porch.copy()
        ImageDraw.Draw(visitor).rectangle((250, 100, 350, 340), fill=(90, 60, 50))
        for at in (22, 62, 92, 122):
            pictures[at] = grey(visitor)
        assert watch(pictures, reports=(20, 60, 90, 120)) == (None, {})

    def test_it_is_one_if_only_its_own_clock_goes_on(self, porch):
        pictures = [grey(clock(porch.copy(), n)) for n in range(200)]
        ailment, found = watch(pictures)
        assert ailment is FROZEN
        assert found[FROZEN] <= 130

    def test_a_clock_at_the_lower_edge_too(self, porch):
        pictures = [grey(clock(porch.copy(), n, at=(450, 345))) for n in range(200)]
        assert watch(pictures)[0] is FROZEN

    def test_a_clock_over_a_living_scene_is_none(self, porch):
        pictures = [
            np.where(np.arange(96)[:, None] < 8, grey(clock(porch.copy(), n)), living)
            for n, living in enumerate(noisy(porch, 1.0, 1.0, 200))
        ]
        assert watch(pictures) == (None, {})

    def test_something_that_moves_in_the_middle_is_no_clock(self, porch):
        pictures = [grey(clock(porch.copy(), n, at=(250, 180))) for n in range(200)]
        assert watch(pictures) == (None, {})

    @pytest.mark.parametrize(("light", "sigma"), [(1.0, 0.7), (0.2, 1.0), (0.06, 1.5)])
    @pytest.mark.parametrize("quality", [90, 40])
    def test_a_quiet_scene_at_night_is_no_frozen_one(self, porch, light, sigma, quality):
        pictures = noisy(porch, light, sigma, 200, quality)
        assert watch(pictures, reports=(20, 60, 90, 120)) == (None, {})

    def test_it_is_over_with_the_first_picture_that_differs(self, porch):
        same, other = grey(porch), grey(porch.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        reports = (20, 60, 90)
        assert watch([same] * 150, reports=reports)[0] is FROZEN
        assert watch([*[same] * 150, other], reports=reports)[0] is None
        assert watch([*[same] * 150, other, *[other] * 300], reports=reports)[0] is None

    def test_another_size_begins_anew(self, porch):
        small = grey(porch.resize((320, 320)))
        assert watch([*[grey(porch)] * 150, small], reports=(20, 60, 90))[0] is None


def colour(value):
    return Image.new("RGB", SIZE, value)


def no_signal():
    image = colour((0, 0, 160))
    ImageDraw.Draw(image).text((230, 150), "NO SIGNAL", (255, 255, 255), font_size=40)
    return image


def offline():
    image = colour((20, 20, 20))
    draw = ImageDraw.Draw(image)
    draw.ellipse((270, 100, 370, 200), outline=(200, 200, 200), width=8)
    draw.text((190, 230), "Camera offline", (200, 200, 200), font_size=40)
    return image


def test_card():
    image = colour((0, 0, 0))
    draw = ImageDraw.Draw(image)
    bars = ("silver", "yellow", "cyan", "lime", "magenta", "red", "blue")
    for n, bar in enumerate(bars):
        draw.rectangle((n * 92, 0, n * 92 + 91, 240), fill=bar)
    for n in range(4):
        draw.rectangle((n * 160, 270, n * 160 + 159, 360), fill=(n * 70,) * 3)
    return image


test_card.__test__ = False


class TestPlaceholder:
    @pytest.mark.parametrize(
        "drawn",
        [
            lambda: colour((0, 0, 0)),
            lambda: colour((0, 0, 255)),
            lambda: colour((128, 128, 128)),
            no_signal,
            offline,
            test_card,
        ],
    )
    def test_a_drawn_picture_is_told_of_after_a_minute(self, drawn):
        ailment, found = watch([grey(drawn())] * 90)
        assert ailment is PLACEHOLDER
        assert found[PLACEHOLDER] == pytest.approx(60, abs=1)

    def test_a_dark_scene_is_none_as_long_as_it_has_noise(self, porch):
        assert watch(noisy(porch, 0.02, 1.5, 150)) == (None, {})

    def test_a_real_picture_is_none(self, picture):
        for name in ("obama", "biden", "hopper", "collins"):
            assert watch([grey(Image.fromarray(picture(name)))] * 150) == (None, {})

    def test_it_is_over_with_the_first_real_picture(self, porch):
        assert watch([*[grey(no_signal())] * 90, grey(porch)])[0] is None


def test_a_picture_of_a_single_pixel_is_none_that_could_be_judged():
    assert watch([np.zeros((1, 1), np.uint8)] * 10) == (None, {})
