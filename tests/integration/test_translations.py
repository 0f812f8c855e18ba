"""Every language says all that English says, with the same placeholders and the same Markdown."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from homeassistant.generated.languages import LANGUAGES
from homeassistant.helpers.translation import async_get_translations

from .conftest import ROOT

FOLDER = ROOT / "custom_components" / "face_lock" / "translations"
ENGLISH_FILE = FOLDER / "en.json"
FILES = sorted(set(FOLDER.glob("*.json")) - {ENGLISH_FILE})


def texts(path: Path) -> dict[str, str]:
    """All texts of a file by their dotted keys."""
    found: dict[str, str] = {}
    rest = list(json.loads(path.read_text(encoding="utf-8")).items())
    while rest:
        key, value = rest.pop()
        if isinstance(value, dict):
            rest += [(f"{key}.{name}", text) for name, text in value.items()]
        else:
            found[key] = value
    return found


def placeholders(text: str) -> Counter[str]:
    return Counter(re.findall(r"\{[^{}]*\}", text))


def markdown(text: str) -> tuple[list[int], list[str]]:
    """The cells in each line, empty lines included, and what is set as code, in any order."""
    return [line.count("|") for line in text.split("\n")], sorted(re.findall(r"`[^`]*`", text))


ENGLISH = texts(ENGLISH_FILE)

translated = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_there_are_translations() -> None:
    # Without any file, the tests below would be skipped.
    assert FILES


@translated
def test_it_is_a_language_of_home_assistant(path) -> None:
    assert path.stem in LANGUAGES


@translated
def test_it_is_json_as_english_is_written(path) -> None:
    written = path.read_text(encoding="utf-8")
    # Writing it anew also shows a key that is there twice.
    assert written == json.dumps(json.loads(written), indent=2, ensure_ascii=False) + "\n"


@translated
def test_it_has_the_keys_of_english(path) -> None:
    keys = set(texts(path))
    assert keys - set(ENGLISH) == set()
    assert set(ENGLISH) - keys == set()


@translated
def test_each_text_has_the_placeholders_of_english(path) -> None:
    there = texts(path)
    for key in ENGLISH.keys() & there.keys():
        assert placeholders(there[key]) == placeholders(ENGLISH[key]), key


@translated
def test_each_text_has_the_markdown_of_english(path) -> None:
    there = texts(path)
    for key in ENGLISH.keys() & there.keys():
        assert markdown(there[key]) == markdown(ENGLISH[key]), key


@translated
def test_no_text_is_empty(path) -> None:
    assert [key for key, text in texts(path).items() if not text.strip()] == []


@translated
def test_nothing_longer_than_two_words_was_left_in_english(path) -> None:
    left = [key for key, text in texts(path).items() if text == ENGLISH.get(key)]
    assert [key for key in left if len(ENGLISH[key].split()) > 2] == []


@translated
async def test_home_assistant_shows_it(hass, path) -> None:
    there = texts(path)
    shown: dict[str, str] = {}
    for category in {key.partition(".")[0] for key in ENGLISH}:
        shown |= await async_get_translations(hass, path.stem, category, ["face_lock"])
    assert shown == {f"component.face_lock.{key}": text for key, text in there.items()}
