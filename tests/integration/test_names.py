"""Names are compared as people read them, and can be shown."""

import pytest
from homeassistant.exceptions import ServiceValidationError

from custom_components.face_lock.names import MAX_NAME, folded, name_objection
from custom_components.face_lock.people import find_person

BARACK = {"Barack": ("obama", "obama2")}
ALIKE = [
    ("Zo\u00eb", "Zoe\u0308"),  # composed, decomposed
    ("Ada", "\uff21\uff44\uff41"),  # full width
    ("Ada", "A\u200bd\u00ada\ufeff"),  # zero width, soft hyphen, byte order mark
    ("Ada", "\u202eAda\u202c"),  # direction
    ("Ada Byron", "  ada \t\u00a0 BYRON "),
    ("Ada Byron", "Ada \u2063 Byron"),
    ("Stra\u00dfe", "STRASSE"),
    ("\u0130da", "i\u0307DA"),
    ("Ada", "A\ufe0fda\U000e0101"),  # variation selectors
    ("Ada", "A\u034fda"),
    ("of\ufb01ce", "OFFICE"),
]
BLANK = ["", "  ", "\u200b", "\u3164", "\u2800\u00a0", "\u00ad\u2060", "\u115f\ufe0f", "\x07"]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_look_alike_are_one(one, other) -> None:
    assert folded(one) == folded(other) != ""
    # Folding what is folded changes nothing.
    assert folded(folded(one)) == folded(one)


@pytest.mark.parametrize("other", ["Adah", "Ad", "\u00c0da", "A da", "1da"])
def test_names_that_differ_stay_different(other) -> None:
    assert folded("Ada") != folded(other)


@pytest.mark.parametrize("name", BLANK)
def test_a_name_must_be_seen(name) -> None:
    assert name_objection(name) == "name_missing"


@pytest.mark.parametrize("name", ["unknown", " Unavailable ", "UN\u200bKNOWN", "\uff55nknown"])
def test_a_name_is_no_state_of_home_assistants(name) -> None:
    assert name_objection(name) == "name_reserved"


def test_a_name_is_no_longer_than_a_state_may_be() -> None:
    assert MAX_NAME == 255
    assert name_objection("a" * 255) is None
    assert name_objection("a" * 256) == "name_too_long"


@pytest.mark.parametrize("name", ["Ada", "Jos\u00e9", "\u674e", "\u0645\u062d", "\U0001f600"])
def test_other_names_are_fine(name) -> None:
    assert name_objection(name) is None


async def test_somebody_is_found_by_the_name_as_it_is_read(set_up) -> None:
    door = await set_up(BARACK)
    for name in ("barack", "BAR\u200bACK", "\uff22arack"):
        assert find_person(door.entry, name)[0] == "barack"
    assert find_person(door.entry, "Barac") is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [("\u3164", "name_missing"), ("unknown", "name_reserved"), ("a" * 256, "name_too_long")],
)
async def test_the_action_enrolls_nobody_so_called(set_up, call, camera, name, problem) -> None:
    door = await set_up(BARACK)
    camera.show("hopper")
    with pytest.raises(ServiceValidationError) as refused:
        await call("enroll", name=name, from_camera=True)
    assert refused.value.translation_key == problem
    assert len(door.household.residents.rules) == 1
