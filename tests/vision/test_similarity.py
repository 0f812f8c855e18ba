"""The score that every comparison uses, and the embeddings that it takes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vision import Matcher, Template
from vision.matching.similarity import (
    MAX_CROWDING,
    MAX_SCORE,
    MIN_SCORE,
    centre,
    cosine,
    pairwise_scores,
    score,
)
from vision.networks.embedder import Embedder

DIRECTIONS = 4
numbers = st.floats(-1, 1, width=32)


def embedded(direction, crowding=0.0):
    """A direction of any length, scaled to 1, followed by a crowding."""
    vector = np.array(direction, np.float32)
    return np.append(vector / np.linalg.norm(vector), np.float32(crowding))


directions = st.lists(numbers, min_size=DIRECTIONS, max_size=DIRECTIONS).filter(
    lambda direction: np.linalg.norm(direction) > 0.1
)
faces = st.builds(embedded, directions, st.floats(0, MAX_CROWDING, width=32))
groups = st.lists(faces, min_size=1, max_size=4).map(np.stack)
# Pictures of one person: any two of them point the same way.
albums = st.lists(
    st.builds(
        lambda nudge, crowding: embedded([2, *nudge[1:]], crowding),
        directions,
        st.floats(0, MAX_CROWDING, width=32),
    ),
    min_size=1,
    max_size=4,
)


# The score


@given(groups, groups)
def test_each_face_of_one_group_is_scored_with_each_of_the_other(a, b):
    scores = pairwise_scores(a, b)
    assert scores.shape == (len(a), len(b))
    assert scores.dtype == np.float32
    for (i, one), (j, other) in itertools.product(enumerate(a), enumerate(b)):
        expected = -float(one[-1]) - float(other[-1])
        for x, y in zip(one[:-1], other[:-1], strict=True):
            expected += float(x) * float(y)
        assert scores[i, j] == pytest.approx(expected, abs=1e-5)
        assert score(one, other) == pytest.approx(expected, abs=1e-5)


@given(groups, groups)
def test_it_is_the_same_from_either_side(a, b):
    assert np.allclose(pairwise_scores(a, b), pairwise_scores(b, a).T, atol=1e-6)


@given(groups, groups)
def test_it_stays_within_its_bounds(a, b):
    scores = pairwise_scores(a, b)
    assert (scores >= MIN_SCORE - 1e-5).all()
    assert (scores <= MAX_SCORE).all()


def test_the_bounds_are_reached():
    alike, crowded = embedded([1, 0]), embedded([1, 0], MAX_CROWDING)
    assert score(alike, alike) == 1.0
    assert score(crowded, embedded([-1, 0], MAX_CROWDING)) == MIN_SCORE


@given(faces, faces, st.floats(0, 0.5))
def test_a_crowded_face_is_less_like_everybody_and_itself(one, other, more):
    crowded = one.copy()
    crowded[-1] += np.float32(more)
    assert score(crowded, other) == pytest.approx(score(one, other) - more, abs=1e-5)
    assert score(crowded, crowded) == pytest.approx(1.0 - 2 * float(crowded[-1]), abs=1e-5)


@given(faces, faces, st.floats(0, MAX_CROWDING), st.floats(0, MAX_CROWDING))
def test_two_pictures_are_as_alike_however_crowded(one, other, a, b):
    before = cosine(one, other)
    assert before == pytest.approx(float(one[:-1].astype(float) @ other[:-1]), abs=1e-5)
    one, other = one.copy(), other.copy()
    one[-1], other[-1] = a, b
    assert cosine(one, other) == before


# A person's centre


@given(faces)
def test_one_template_is_its_own_centre(face):
    assert np.allclose(centre([face]), face, atol=1e-6)


@given(albums, faces)
def test_a_centre_keeps_what_its_templates_say_on_average_scaled_alike(album, face):
    template = centre(album)
    assert template.dtype == np.float32
    assert np.linalg.norm(template[:-1]) == pytest.approx(1.0, abs=1e-5)
    length = np.linalg.norm(np.mean([one[:-1] for one in album], axis=0))
    assert template[-1] == pytest.approx(np.mean([one[-1] for one in album]) / length, abs=1e-5)
    # The crowding of the face itself is not part of the template, and is not scaled.
    single = np.mean([score(one, face) + face[-1] for one in album])
    assert score(template, face) + face[-1] == pytest.approx(single / length, abs=1e-4)


@given(albums, st.randoms(use_true_random=False))
def test_the_order_of_templates_does_not_matter(album, random):
    mixed = album.copy()
    random.shuffle(mixed)
    assert np.allclose(centre(album), centre(mixed), atol=1e-6)


# Whom a face resembles


def matcher(**people):
    return Matcher({name: (Template(face, "m"),) for name, face in people.items()}, model="m")


def test_of_two_people_as_near_the_less_crowded_is_meant():
    people = matcher(anna=embedded([1, 1], 0.25), ben=embedded([1, -1], 0.125))
    match = people.match(embedded([1, 0]))
    assert match.person == "ben"
    assert match.similarity == pytest.approx(0.5**0.5 - 0.125)
    assert match.runner_up == pytest.approx(0.5**0.5 - 0.25)


def test_a_crowded_face_resembles_the_same_person_by_so_much_less():
    people = matcher(anna=embedded([1, 0.2], 0.1), ben=embedded([0.2, 1]))
    clear, crowded = people.match(embedded([1, 0])), people.match(embedded([1, 0], 0.5))
    assert clear.person == crowded.person == "anna"
    assert crowded.similarity == pytest.approx(clear.similarity - 0.5)
    assert crowded.runner_up == pytest.approx(clear.runner_up - 0.5)


def test_who_is_alone_in_the_gallery_is_second_to_nobody():
    match = matcher(anna=embedded([1, 0], MAX_CROWDING)).match(embedded([-1, 0], MAX_CROWDING))
    assert match.similarity == match.runner_up == MIN_SCORE


# What the network says about it


class Network:
    """Answers what it is told to, and keeps what it was asked for."""

    def __init__(self, **answer):
        self.answer = answer

    def run(self, image, outputs):
        self.asked = outputs
        return self.answer


CROPS = np.zeros((2, 112, 112, 3), np.uint8)
TWO = np.array([[3, 0, 4], [0, 2, 0]], np.float32)


def column(*values):
    return np.array(values, np.float32)[:, np.newaxis]


def test_the_crowding_stands_behind_the_direction():
    network = Network(embedding=TWO, crowding=column(0.0, MAX_CROWDING))
    verifier = Embedder(network, model="m", directions=3)
    embeddings = verifier.embed(CROPS)
    assert embeddings.dtype == np.float32
    assert np.allclose(embeddings, [[0.6, 0, 0.8, 0], [0, 1, 0, MAX_CROWDING]])
    assert verifier.embedding_size == 4
    assert set(network.asked) == {"embedding", "crowding"}


def test_without_an_output_for_it_nobody_is_crowded():
    network = Network(embedding=TWO)
    verifier = Embedder(network, model="m", directions=3, crowding=False)
    assert np.allclose(verifier.embed(CROPS), [[0.6, 0, 0.8, 0], [0, 1, 0, 0]])
    assert verifier.embedding_size == 4
    assert set(network.asked) == {"embedding"}


def test_a_network_that_leaves_out_its_crowding_is_not_taken_for_one_without():
    verifier = Embedder(Network(embedding=TWO), model="m", directions=3)
    with pytest.raises(KeyError):
        verifier.embed(CROPS)


@pytest.mark.parametrize(
    "crowding",
    [
        column(0.1, np.nan),
        column(0.1, np.inf),
        column(-0.001, 0.1),
        column(0.1, MAX_CROWDING + 0.001),
        column(0.1),
        column(0.1, 0.1, 0.1),
        column(0.1, 0.1)[:, 0],
        np.full((2, 2), 0.1, np.float32),
    ],
)
def test_what_is_no_crowding_is_an_error(crowding):
    verifier = Embedder(Network(embedding=TWO, crowding=crowding), model="m", directions=3)
    with pytest.raises(RuntimeError, match="not an embedding"):
        verifier.embed(CROPS)


@pytest.mark.parametrize("directions", [2, 4])
def test_a_direction_of_another_length_is_an_error(directions):
    verifier = Embedder(Network(embedding=TWO), model="m", directions=directions, crowding=False)
    with pytest.raises(RuntimeError, match="not an embedding"):
        verifier.embed(CROPS)
