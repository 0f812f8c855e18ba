"""Pictures from the door's own camera, asked for pose by pose."""

import asyncio
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from homeassistant.data_entry_flow import FlowResultType
from PIL import Image, ImageOps

from custom_components.face_lock import vision
from custom_components.face_lock.enrollment import album, pose_guide as guide, procedure
from custom_components.face_lock.flows import capture
from custom_components.face_lock.people import people_of
from tests.harness.devices import portrait

from .conftest import CAMERA, front_door, raw
from .test_person_flow import Flow, shown

POSES = {
    # As the landmarks of these pictures have it; the mirror turns a head to the other side.
    "straight": ("obama", False),
    "left": ("obama3", False),
    "right": ("obama2", False),
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "INTERVAL", 0.01)


@pytest.fixture
def clock(clock, monkeypatch: pytest.MonkeyPatch):
    """Let the same clock tell how long a pose has been waited for."""
    monkeypatch.setattr(capture, "monotonic", clock)
    return clock


class Steps:
    """What the dialogue says, one progress after the other."""

    def __init__(self, hass, flow: Flow) -> None:
        self._hass = hass
        self._flow = flow
        self.said: list[str] = []
        self.missed: list[str] = []
        self.last: dict = {}

    async def run(
        self, react: Callable[[str], object], answer: str = "skip", **camera: str
    ) -> dict:
        """Go on until the capture ends; ``react`` is told each new instruction.

        ``answer`` is what is chosen where a pose was missed.
        """
        result = await self._flow.submit(**camera or {"next_step_id": "capture"})
        while True:
            if result["type"] is FlowResultType.MENU and result["step_id"] == "missed":
                assert result["menu_options"] == ["again", "skip", "stop"]
                self.missed.append(result["description_placeholders"]["why"])
                result = await self._flow.submit(next_step_id=answer)
            elif result["type"] is FlowResultType.SHOW_PROGRESS:
                assert result["step_id"] == "capture"
                self.last = result["description_placeholders"]
                if not self.said or self.said[-1] != result["progress_action"]:
                    self.said.append(result["progress_action"])
                react(result["progress_action"])
                flow = self._hass.config_entries.subentries._progress[self._flow._id]
                await ended(flow.async_get_progress_task())
                result = await self._hass.config_entries.subentries.async_configure(self._flow._id)
            else:
                return result


async def ended(task) -> None:
    if task is not None:
        await asyncio.wait([task])


def scene(camera, name: str, *, mirror: bool = False, height: float = 400) -> None:
    """Show somebody, never quite still."""
    original = portrait(name)
    image = ImageOps.mirror(original) if mirror else original

    def picture() -> bytes:
        wall = Image.new("RGB", (640, 480), (110, 115, 120))
        rng = camera.scene._rng
        scale = height / image.height * rng.uniform(0.97, 1.03)
        person = image.resize((round(image.width * scale), round(image.height * scale)))
        wall.paste(person, (round(150 + rng.uniform(-6, 6)), round(30 + rng.uniform(-6, 6))))
        noise = rng.normal(0, 2, (480, 640, 3))
        return vision.encode_jpeg((np.asarray(wall) + noise).clip(0, 255).astype(np.uint8))

    camera.source = picture


async def begin(hass, door) -> Steps:
    flow = Flow(hass, door.entry)
    await flow.start("Barack")
    return Steps(hass, flow)


async def test_each_pose_is_asked_for_and_kept(hass, set_up, camera, clock) -> None:
    door = await set_up({})
    progress = []
    hass.bus.async_listen("data_entry_flow_progress_update", lambda e: progress.append(e.data))
    steps = await begin(hass, door)

    def react(said: str) -> None:
        if said in POSES:
            name, mirror = POSES[said]
            scene(camera, name, mirror=mirror)
        else:
            # Nobody's chin goes up here: time passes.
            clock.jump(guide.PATIENCE)

    result = await steps.run(react)

    assert steps.said == ["straight", "left", "right", "up"]
    assert steps.last["kept"] == "3"
    assert steps.last["wanted"] == "4"
    assert steps.last["picture"].startswith("![](data:image/jpeg;base64,")
    count, said = shown(result)
    assert count == 3
    # Which pose was missed is said at once, and in the end.
    assert steps.missed == ["No picture with the chin raised."]
    assert said == "Not kept:\n\n- Front door: No picture with the chin raised."
    assert sorted({p["progress"] for p in progress}) == [0.25, 0.5, 0.75]
    assert (await steps._flow.finish())["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = people_of(door.entry).values()
    kept = door.household.store.album(subentry.unique_id)
    # Three different views of one face.
    embeddings = [one.template.embedding for one in kept]
    pairs = [vision.cosine(*two) for two in combinations(embeddings, 2)]
    assert max(pairs) < 0.95


async def test_it_ends_with_the_last_pose_that_there_is_room_for(
    hass, set_up, camera, clock, monkeypatch
) -> None:
    monkeypatch.setattr(album, "MAX_PICTURES", 3)
    door = await set_up({})
    steps = await begin(hass, door)

    def react(said: str) -> None:
        name, mirror = POSES[said]
        scene(camera, name, mirror=mirror)

    assert shown(await steps.run(react)) == (3, "")
    assert (steps.said, steps.missed) == (["straight", "left", "right"], [])
    assert (await steps._flow.finish())["type"] is FlowResultType.CREATE_ENTRY


async def test_standing_there_for_pictures_is_no_visit(hass, set_up, camera, clock) -> None:
    """Neither events nor failures: not even of somebody else who looks in."""
    door = await set_up({"Grace": ("hopper",)})
    steps = await begin(hass, door)
    scenes = {"straight": "obama", "left": "obama3", "right": "hopper", "up": "biden"}
    seen = door.watcher.counters.recognised

    def react(said: str) -> None:
        if said in scenes:
            camera.show(scenes[said])
        if said in ("right", "up", "enrolled_already", "other_person"):
            clock.jump(1)

    await door.recognised(1)
    await steps.run(react)
    assert door.watcher.counters.recognised > seen + 5
    assert door.accesses == []
    assert door.watcher.visits == 0
    assert door.door.controller.lockout.failures == 0
    # A while afterwards everything is as before.
    camera.show("hopper")
    clock.jump(20)
    access = await door.access()
    assert (access.event_type, access.person) == ("access_granted", "Grace")


async def test_pictures_from_the_door_end_no_lockout(hass, set_up, camera, clock) -> None:
    door = await set_up({})
    for _ in range(door.door.settings.attempts):
        await door.door.controller.async_offer_code("wrong")
    assert door.door.controller.is_locked_out
    steps = await begin(hass, door)
    scene(camera, "obama")
    await steps.run(lambda said: said != "straight" and clock.jump(1), answer="stop")
    assert (await steps._flow.finish())["type"] is FlowResultType.CREATE_ENTRY
    assert door.door.controller.lockout.failures >= door.door.settings.attempts


async def test_there_is_time_to_walk_to_the_door(hass, set_up, camera, clock) -> None:
    door = await set_up({})
    camera.show()
    steps = await begin(hass, door)
    left = []

    def react(said: str) -> None:
        left.append(int(steps.last["seconds"]))
        if said == "no_face" and left[-1] > 15:
            clock.jump(5)
        elif said in ("no_face", "straight") and len(left) > 5:
            scene(camera, "obama")
        elif said == "left":
            clock.jump(guide.PATIENCE)

    await steps.run(react, answer="stop")
    # The time that is left is told.
    assert left[0] == guide.WALK
    assert len(set(left)) >= 8
    assert set(left) <= set(range(0, 61, guide.COUNT))
    assert len(steps._flow._manager._progress[steps._flow._id]._album.portraits) == 1


@pytest.mark.parametrize(("answer", "poses"), [("stop", 1), ("skip", 4)])
async def test_a_pose_can_be_skipped_and_the_capture_stopped(
    hass, set_up, camera, clock, answer, poses
) -> None:
    door = await set_up({})
    camera.show()
    steps = await begin(hass, door)

    def react(_: str) -> None:
        clock.jump(guide.WALK)

    count, said = shown(await steps.run(react, answer=answer))
    assert (count, len(steps.missed)) == (0, poses)
    assert steps.missed[0].startswith("No picture with the face straight to the camera.")
    assert "No face was found" in said


async def test_a_pose_can_be_tried_again(hass, set_up, camera, clock) -> None:
    door = await set_up({})
    camera.show()
    steps = await begin(hass, door)
    tried = []

    def react(said: str) -> None:
        if not tried:
            tried.append(said)
            clock.jump(guide.WALK)
        elif said in POSES:
            name, mirror = POSES[said]
            scene(camera, name, mirror=mirror)
        elif said == "up":
            scene(camera, "obama2")
            clock.jump(guide.PATIENCE) if len(steps.missed) < 2 else raised()

    def raised() -> None:
        raise StopAsyncIteration

    with pytest.raises(StopAsyncIteration):
        await steps.run(react, answer="again")
    assert len(steps.missed) == 2
    assert steps.last["kept"] == "3"
    hass.config_entries.subentries.async_abort(steps._flow._id)
    await hass.async_block_till_done()


async def test_who_walks_past_first_is_not_the_judge(hass, set_up, camera, clock) -> None:
    door = await set_up({})
    steps = await begin(hass, door)
    scenes = {"straight": ("hopper", False), "left": ("obama3", False), "right": ("obama2", False)}

    def react(said: str) -> None:
        if said in scenes:
            name, mirror = scenes[said]
            scene(camera, name, mirror=mirror)
        else:
            clock.jump(guide.PATIENCE)

    count, said = shown(await steps.run(react))
    assert count == 2
    assert "does not match the other pictures" in said
    await steps._flow.finish()
    (subentry,) = people_of(door.entry).values()
    known = vision.examine(door.household.bundle, vision.decode_rgb(raw("obama"))).template
    for one in door.household.store.album(subentry.unique_id):
        assert vision.is_same_person(door.household.bundle, one.template.embedding, [known])


async def test_with_somebody_beside_it_takes_who_agrees(hass, set_up, camera, clock) -> None:
    door = await set_up({"Barack": ("obama", "obama2")})
    camera.show("obama3", "biden", height=350)
    flow = Flow(hass, door.entry)
    await flow.change("add")
    steps = Steps(hass, flow)
    poses = {"straight", "left", "right", "up"}
    count, _ = shown(await steps.run(lambda said: len(steps.said) > 3 and clock.jump(12)))
    assert set(steps.said) <= poses | {"same_picture"}
    assert count == 3


async def test_the_wrong_side_is_not_kept(hass, set_up, camera, clock) -> None:
    door = await set_up({})
    steps = await begin(hass, door)

    def react(said: str) -> None:
        if said == "straight":
            scene(camera, "obama")
        elif said == "left":
            scene(camera, "obama2")
            clock.jump(guide.PATIENCE)
        else:
            clock.jump(guide.PATIENCE)

    count, said = shown(await steps.run(react))
    # The turn to the right came when it was asked for the left, and was still there afterwards.
    assert steps.said == ["straight", "left", "right", "up"]
    assert count == 2
    assert said.count("No picture") == 2


@pytest.mark.parametrize(
    ("act", "hint", "why"),
    [
        (lambda c: c.show(), "no_face", "No face was found"),
        (lambda c: c.show("obama", "biden", height=350), "several_faces", "several faces"),
        (lambda c: scene(c, "obama", height=110), "face_too_small", "too small"),
        (lambda c: c.fail(), "no_picture", "gave no picture"),
        (lambda c: c.freeze(b"nonsense"), "no_picture", "type that cannot be read"),
        (lambda c: c.set_available(False), "no_picture", "is unavailable"),
    ],
)
async def test_what_is_wrong_is_said_and_mended_in_time(
    hass, set_up, camera, clock, act, hint, why
) -> None:
    door = await set_up({})
    steps = await begin(hass, door)
    act(camera)

    def help_out(said: str) -> None:
        if said == hint:
            camera.set_available(True)
            scene(camera, "obama")
        elif len(steps.said) > 2:
            clock.jump(guide.PATIENCE)

    count, said = shown(await steps.run(help_out))
    assert steps.said[:3] == ["straight", hint, "left"]
    assert count == 1
    assert said.count("No picture") == 3

    # Where it is not mended, the review says why.
    act(camera)
    steps = await begin(hass, door)

    def give_up(said: str) -> None:
        if said == hint:
            clock.jump(guide.WALK)

    count, said = shown(await steps.run(give_up))
    assert count == 0
    assert "- Front door: " in said
    assert why in said


async def test_a_frozen_camera_gives_one_picture(hass, set_up, camera, clock) -> None:
    door = await set_up({"Barack": ()})
    flow = Flow(hass, door.entry)
    await flow.change("add")
    scene(camera, "obama")
    camera.freeze(camera.source())
    steps = Steps(hass, flow)
    count, _ = shown(await steps.run(lambda said: said != "straight" and clock.jump(12)))
    assert count == 1
    # Once more there is nothing new to see.
    steps = Steps(hass, flow)
    result = await steps.run(lambda said: said == "same_picture" and clock.jump(60), answer="stop")
    count, said = shown(result)
    assert count == 1
    assert "it counts once" in said


async def test_somebody_who_is_enrolled_already(hass, set_up, camera, clock) -> None:
    door = await set_up({"Barack": ("obama", "obama2")})
    scene(camera, "obama")
    flow = Flow(hass, door.entry)
    await flow.start("Barry")
    steps = Steps(hass, flow)
    count, said = shown(await steps.run(lambda said: said == "enrolled_already" and clock.jump(60)))
    assert count == 0
    assert "too much like another enrolled person" in said


async def test_somebody_else_is_not_added_to_the_pictures(hass, set_up, camera, clock) -> None:
    door = await set_up({"Barack": ("obama", "obama2")})
    scene(camera, "hopper")
    flow = Flow(hass, door.entry)
    await flow.change("add")
    steps = Steps(hass, flow)
    result = await steps.run(lambda said: said == "other_person" and clock.jump(60), answer="stop")
    count, said = shown(result)
    assert count == 2
    assert "does not match the other pictures" in said


async def test_a_face_that_never_looks_straight(hass, set_up, camera, clock, monkeypatch) -> None:
    door = await set_up({})
    monkeypatch.setattr(album, "head_pose", lambda _: vision.HeadPose(0.0, 5.0))
    monkeypatch.setattr(vision.imaging.pose, "STRAIGHT", -1.0)
    scene(camera, "obama")
    steps = await begin(hass, door)
    count, said = shown(await steps.run(lambda _: clock.jump(guide.PATIENCE)))
    assert count == 0
    assert "No picture with the face straight to the camera" in said


async def test_landmarks_that_coincide_are_no_face(
    hass, set_up, camera, clock, monkeypatch
) -> None:
    def broken(_: object) -> vision.HeadPose:
        raise ValueError("no face")

    door = await set_up({})
    monkeypatch.setattr(album, "head_pose", broken)
    scene(camera, "obama")
    steps = await begin(hass, door)
    _, said = shown(await steps.run(lambda said: said == "no_face" and clock.jump(60)))
    assert "No face was found" in said


async def test_a_capture_that_breaks_keeps_what_it_has(hass, set_up, camera, monkeypatch) -> None:
    door = await set_up({})
    scene(camera, "obama")
    steps = await begin(hass, door)

    def react(said: str) -> None:
        if said == "left":
            monkeypatch.setattr(procedure, "look", lambda *_: 1 / 0)

    assert shown(await steps.run(react)) == (1, "")
    # From the start nothing is kept, and that is said.
    steps = await begin(hass, door)
    count, said = shown(await steps.run(lambda _: None))
    assert count == 0
    assert "Taking pictures failed" in said


async def test_the_household_is_unloaded_meanwhile(hass, set_up, camera) -> None:
    door = await set_up({})
    camera.show()
    steps = await begin(hass, door)
    unloaded = []

    def react(_: str) -> None:
        if not unloaded:
            unloaded.append(
                hass.async_create_task(hass.config_entries.async_unload(door.entry.entry_id))
            )

    result = await steps.run(react)
    assert result["step_id"] == "pictures"
    await hass.async_block_till_done()


async def test_with_several_cameras_it_is_asked_which(hass, set_up, camera, clock) -> None:
    other = type(camera)()
    other._attr_unique_id, other._attr_name = "back_door", "Back door"
    await hass.data["camera"].async_add_entities([other])
    garage = front_door(hass, title="Garage", door="garage", cameras=(CAMERA, "camera.back_door"))
    door = await set_up({}, doors=(front_door(hass), garage))
    flow = Flow(hass, door.entry)
    await flow.start("Barack")
    form = await flow.submit(next_step_id="capture")
    assert form["type"] is FlowResultType.FORM
    (field,) = form["data_schema"].schema.values()
    # The one that both doors have is named once.
    assert [option["label"] for option in field.config["options"]] == ["Front door", "Back door"]
    scene(other, "obama")
    steps = Steps(hass, flow)
    back = field.config["options"][1]["value"]
    count, _ = shown(await steps.run(lambda _: clock.jump(12), camera=back))
    assert count == 1


async def test_closing_the_dialogue_ends_the_capture(hass, set_up, camera) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry)
    await flow.start("Barack")
    camera.hang()
    result = await flow.submit(next_step_id="capture")
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    task = hass.config_entries.subentries._progress[flow._id].async_get_progress_task()
    # Whoever asks meanwhile is shown the same, and starts nothing anew.
    again = await hass.config_entries.subentries.async_configure(result["flow_id"])
    assert again["description_placeholders"] == result["description_placeholders"]
    assert hass.config_entries.subentries._progress[flow._id].async_get_progress_task() is task
    hass.config_entries.subentries.async_abort(result["flow_id"])
    await ended(task)
    assert task.cancelled()
    camera.show()
    await hass.async_block_till_done()


async def test_a_camera_without_a_state_is_called_by_the_door(hass, set_up, camera, clock) -> None:
    door = await set_up({})
    steps = await begin(hass, door)
    hass.states.async_remove("camera.front_door")
    _, said = shown(await steps.run(lambda said: said == "no_picture" and clock.jump(60)))
    assert "- Front door: There is no such camera." in said
