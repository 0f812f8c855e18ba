"""Whose pictures are these? Real faces, in every order, with others beside and behind."""

from itertools import permutations

import numpy as np
import pytest
from PIL import Image

from vision import (
    SAME_PICTURE,
    Candidate,
    Faces,
    Objection,
    PictureError,
    Problem,
    agree,
    cosine,
    decode_rgb,
    encode_jpeg,
    examine,
    find_faces,
    is_same_person,
)

OWNER = ("obama", "obama2", "obama3")


@pytest.fixture(scope="module")
def wall():
    return (np.linspace(90, 150, 1280)[None, :, None] + np.zeros((720, 1, 3))).astype(np.uint8)


@pytest.fixture(scope="module")
def scene(bundle, picture, wall):
    """A picture 1280 wide with people in it: name, where, and how wide their face is."""

    def scene(*people):
        canvas = Image.fromarray(wall.copy())
        for name, middle, width in people:
            rgb = picture(name)
            face = max(bundle.detector.detect(rgb), key=lambda face: face.width)
            scale = width / face.width
            image = Image.fromarray(rgb).resize(
                (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
            )
            x, y = (face.box[0] + face.box[2]) / 2 * scale, (face.box[1] + face.box[3]) / 2 * scale
            left, top = max(round(x - 1.1 * width), 0), max(round(y - 1.2 * width), 0)
            part = image.crop(
                (
                    left,
                    top,
                    min(round(x + 1.1 * width), image.width),
                    min(round(y + 1.6 * width), image.height),
                )
            )
            canvas.paste(part, (round(middle - (x - left)), round(300 - (y - top))))
        return np.asarray(canvas)

    return scene


@pytest.fixture(scope="module")
def seen(bundle, picture):
    """The faces of a portrait, or of any picture."""

    portraits = {}

    def seen(what):
        if not isinstance(what, str):
            return find_faces(bundle, what)
        if what not in portraits:
            portraits[what] = find_faces(bundle, picture(what))
        return portraits[what]

    return seen


def is_of(bundle, picture, outcome, name):
    known = examine(bundle, picture(name)).template
    return isinstance(outcome, Candidate) and is_same_person(
        bundle, outcome.portrait.template.embedding, [known]
    )


class TestBystanders:
    @pytest.mark.parametrize("small", [100, 75, 60, 45, 30])
    def test_a_wider_face_beside_the_person_is_not_taken(self, bundle, scene, small):
        rgb = scene(("obama", 300, small), ("biden", 900, 130))
        with pytest.raises(PictureError) as error:
            examine(bundle, rgb)
        assert error.value.problem is Problem.SEVERAL_FACES
        assert agree(bundle, [find_faces(bundle, rgb)]) == [Objection.SEVERAL_FACES]

    @pytest.mark.parametrize("small", [100, 45])
    def test_with_another_picture_of_the_person_the_right_one_is_taken(
        self, bundle, picture, scene, seen, small
    ):
        rgb = scene(("obama", 300, small), ("biden", 900, 130))
        both = agree(bundle, [seen(rgb), seen("obama2")])
        assert all(is_of(bundle, picture, outcome, "obama3") for outcome in both)
        known = examine(bundle, picture("obama2")).template
        (alone,) = agree(bundle, [seen(rgb)], [known])
        assert is_of(bundle, picture, alone, "obama3")
        taken = examine(bundle, rgb, [known])
        assert is_same_person(
            bundle, taken.template.embedding, [examine(bundle, picture("obama3")).template]
        )

    def test_a_person_too_small_to_compare_is_not_replaced_by_who_is_beside(
        self, bundle, picture, scene, seen
    ):
        rgb = scene(("obama", 300, 30), ("biden", 900, 130))
        faces = seen(rgb)
        assert (len(faces.candidates), faces.others) == (1, 1)
        known = examine(bundle, picture("obama2")).template
        assert agree(bundle, [faces], [known]) == [Objection.OTHER_PERSON]

    def test_who_is_beside_the_person_each_time_is_not_taken(self, bundle, scene, seen):
        # In one the person cannot be compared: more pictures show the other one.
        pictures = [
            seen(scene((name, 300, width), (other, 900, 130)))
            for name, width, other in (
                ("obama", 90, "hopper"),
                ("obama2", 90, "hopper"),
                ("obama3", 30, "hopper"),
            )
        ]
        assert set(agree(bundle, pictures)) <= {Objection.SEVERAL_FACES, Objection.SAME_PICTURE}

    def test_different_people_behind_the_same_person(self, bundle, picture, scene, seen):
        pictures = [
            seen(scene((name, 300, 80), (other, 900, 150)))
            for name, other in zip(OWNER, ("biden", "hopper", "collins"), strict=True)
        ]
        for order in permutations(range(3)):
            kept = agree(bundle, [pictures[n] for n in order])
            assert all(is_of(bundle, picture, outcome, "obama") for outcome in kept)


class TestMajority:
    def test_the_first_picture_is_not_the_judge(self, bundle, picture, seen):
        for order in permutations(("biden", *OWNER)):
            kept = dict(zip(order, agree(bundle, [seen(n) for n in order]), strict=True))
            assert kept.pop("biden") is Objection.OTHER_PERSON
            assert all(is_of(bundle, picture, outcome, "obama") for outcome in kept.values())

    @pytest.mark.parametrize(
        "names",
        [
            ("obama", "biden"),
            ("obama", "obama2", "biden", "hopper"),
            ("obama", "biden", "hopper", "collins"),
        ],
    )
    def test_without_a_majority_nothing_is_kept(self, bundle, seen, names):
        for order in permutations(names):
            assert set(agree(bundle, [seen(n) for n in order])) == {Objection.DISAGREE}

    def test_who_is_enrolled_is_not_outvoted(self, bundle, picture, seen):
        known = [examine(bundle, picture("biden")).template]
        assert agree(bundle, [seen(n) for n in OWNER], known) == [Objection.OTHER_PERSON] * 3

    def test_templates_of_another_model_settle_nothing(self, bundle, picture, seen):
        template = examine(bundle, picture("biden")).template
        other = type(template)(template.embedding, "another model")
        kept = agree(bundle, [seen("obama"), seen("obama2")], [other])
        assert all(isinstance(outcome, Candidate) for outcome in kept)

    def test_one_face_twice_in_a_picture_is_nobody(self, bundle, picture, scene, seen):
        twins = seen(scene(("obama", 300, 100), ("obama3", 900, 100)))
        known = examine(bundle, picture("obama2")).template
        assert agree(bundle, [twins], [known]) == [Objection.SEVERAL_FACES]

    def test_nothing_of_nothing(self, bundle):
        assert agree(bundle, []) == []


class TestCopies:
    @pytest.fixture
    def copies(self, picture):
        """The same picture: encoded again, smaller, larger, darker, and cut."""
        rgb = picture("obama")
        image = Image.fromarray(rgb)
        sizes = [image.resize((round(image.width * s), round(image.height * s))) for s in (0.5, 2)]
        return [
            decode_rgb(encode_jpeg(rgb, quality=40)),
            *(np.asarray(size) for size in sizes),
            (rgb * 0.8).astype(np.uint8),
            rgb[40:, 30:],
        ]

    def test_a_copy_has_no_second_vote(self, bundle, picture, seen, copies):
        for copy in copies:
            found = agree(bundle, [seen("obama"), seen(copy)])
            assert isinstance(found[0], Candidate)
            assert found[1] is Objection.SAME_PICTURE
            # One person's picture twice is no majority over somebody else's.
            found = agree(bundle, [seen("biden"), seen("obama"), seen(copy)])
            assert set(found) == {Objection.DISAGREE, Objection.SAME_PICTURE}

    def test_a_copy_of_what_is_enrolled_is_not_kept(self, bundle, picture, seen, copies):
        known = [examine(bundle, picture("obama")).template]
        for copy in copies:
            assert agree(bundle, [seen(copy)], known) == [Objection.SAME_PICTURE]

    def test_of_a_group_and_a_part_of_it_the_part_counts(self, bundle, scene, seen):
        group = scene(("obama", 300, 100), ("biden", 900, 100))
        part = np.ascontiguousarray(group[:, :600])
        for order in ([group, part], [part, group]):
            found = agree(bundle, [seen(rgb) for rgb in order])
            kept = dict(zip((id(rgb) for rgb in order), found, strict=True))
            assert isinstance(kept[id(part)], Candidate)
            assert kept[id(group)] is Objection.SAME_PICTURE

    def test_different_pictures_of_one_person_are_no_copies(self, bundle, seen):
        embeddings = [seen(n).candidates[0].portrait.template.embedding for n in OWNER]
        found = [cosine(a, b) for a in embeddings for b in embeddings if a is not b]
        assert max(found) < SAME_PICTURE - 0.05
        assert all(isinstance(o, Candidate) for o in agree(bundle, [seen(n) for n in OWNER]))


def test_what_is_found_is_counted(bundle, seen, scene):
    faces = seen(scene(("obama", 300, 60), ("biden", 900, 130)))
    assert isinstance(faces, Faces)
    assert [round(c.face.width, -1) for c in faces.candidates] == [130, 60]
    assert faces.number == 2
