"""Faces that are upside down or on their side: at the door, in stored albums, and in the set-up."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from custom_components.face_lock import vision
from custom_components.face_lock.enrollment import album
from tests.harness.devices import jpeg, portrait

from . import conftest
from .conftest import TARGET, raw

UPSIDE_DOWN = Image.Transpose.ROTATE_180
BARACK = ("obama", "obama2", "obama3")


def turned(data: bytes, how: Image.Transpose = UPSIDE_DOWN) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return jpeg(image.convert("RGB").transpose(how))


def hang(camera, name: str) -> None:
    """Show somebody through a camera that hangs upside down."""
    camera.source = lambda: turned(camera.scene.picture(name))


async def test_an_upside_down_face_opens_nothing_and_the_reason_is_said(
    set_up, camera, target
) -> None:
    door = await set_up({"Barack": BARACK}, lock=TARGET)
    await door.recognised(1)
    hang(camera, "obama")
    await door.recognised(8)
    camera.show()
    access = await door.access()
    assert access.event_type != "access_granted"
    assert access.reason == "turned"
    assert access.person is None
    assert not target.calls


async def test_who_was_enrolled_upside_down_by_an_older_version_opens_for_no_stranger(
    set_up, camera, target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All upside-down faces look alike to the verifier: three of three strangers got in."""
    older, enrol = conftest.stored, turned
    with monkeypatch.context() as patch:
        patch.setattr(conftest, "raw", lambda name: enrol(raw(name)))
        patch.setattr(
            conftest, "stored", lambda bundle, people: older(replace(bundle, upright=None), people)
        )
        door = await set_up(
            {"Barack": BARACK},
            lock=TARGET,
            settings={"recognition": {"false_positive_rate": "one_in_1000"}},
        )
    await door.recognised(1)
    for name in ("biden", "hopper", "collins"):
        hang(camera, name)
        await door.recognised(8)
        camera.show(name)
        await door.recognised(4)
    assert not target.calls
    assert all(one.attributes["event_type"] != "access_granted" for one in door.accesses)


@pytest.mark.parametrize(
    "how", [UPSIDE_DOWN, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270]
)
@pytest.mark.parametrize("name", ["obama", "biden", "collins", "hopper"])
async def test_a_turned_picture_is_refused_by_upload_and_by_capture(bundle, name, how) -> None:
    standard = album.Standard(bundle, {}, 1e-4)
    data = turned(jpeg(portrait(name)), how)
    with pytest.raises(vision.PictureError) as refused:
        album.examine_upload(standard, data, ())
    assert refused.value.problem is vision.Problem.TURNED
    found = album.look(standard, data, (), _any_pose)
    assert found.problem == "turned"
    assert found.portrait is None


async def test_a_negative_and_half_a_face_are_refused_by_upload(bundle) -> None:
    standard = album.Standard(bundle, {}, 1e-4)
    image = portrait("obama")
    face = vision.find_face(bundle, vision.decode_rgb(raw("obama")))
    middle = round(float(face.landmarks[2, 0]))
    half = image.crop((middle, 0, image.width, image.height))
    for wrong in (image.point(lambda value: 255 - value), half):
        with pytest.raises(vision.PictureError) as refused:
            album.examine_upload(standard, jpeg(wrong), ())
        assert refused.value.problem in (vision.Problem.TURNED, vision.Problem.NO_FACE)


def _any_pose(_pose: vision.HeadPose) -> bool:
    return True
