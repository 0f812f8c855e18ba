"""Real pictures through the bundled networks, on every runtime installed here."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from vision import (
    Face,
    Frame,
    PictureError,
    Problem,
    align,
    decode_rgb,
    embed_crop,
    encode_png,
    examine,
    gallery_matcher,
    is_same_person,
    load_bundle,
    recognise,
)
from vision.matching.similarity import MAX_CROWDING, score
from vision.networks.detector import Candidates, agreed_landmarks, decode, suppress
from vision.networks.embedder import Embedder
from vision.networks.runtime import available

SAME = ("obama", "obama2", "obama3")
STRANGERS = ("biden",)


def resized(rgb, width):
    height = round(rgb.shape[0] * width / rgb.shape[1])
    return np.asarray(Image.fromarray(rgb).resize((width, height)))


def largest(faces: list[Face]) -> Face:
    return max(faces, key=lambda face: face.width)


class TestDetector:
    @pytest.mark.parametrize("name", [*SAME, *STRANGERS])
    def test_landmarks_lie_in_their_order_inside_the_box(self, bundle, picture, name):
        rgb = picture(name)
        face = largest(bundle.detector.detect(rgb))
        (x1, y1, x2, y2), points = face.box, face.landmarks
        assert points.shape == (5, 2)
        assert ((points > (x1, y1)) & (points < (x2, y2))).all()
        left_eye, right_eye, nose, left_mouth, right_mouth = points
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])

    def test_finds_the_same_face_in_any_size_and_at_any_place(self, bundle, picture):
        rgb = picture("obama")
        face = largest(bundle.detector.detect(rgb))
        for width in (300, 500, 900):
            scale = width / rgb.shape[1]
            canvas = np.zeros((1000, 1000, 3), dtype=np.uint8)
            small = resized(rgb, width)[:900]
            canvas[37 : 37 + len(small), 51 : 51 + width] = small
            again = largest(bundle.detector.detect(canvas))
            expected = face.landmarks * scale + (51, 37)
            assert np.abs(again.landmarks - expected).max() < 0.15 * face.width * scale

    @pytest.mark.parametrize("name", [*SAME, *STRANGERS])
    def test_finds_the_smallest_face_that_may_count_in_a_large_picture(self, bundle, picture, name):
        rgb = picture(name)
        scale = bundle.quality.min_face_px / largest(bundle.detector.detect(rgb)).width
        small = resized(rgb, round(rgb.shape[1] * scale))
        frame = np.full((1080, 1920, 3), 110, dtype=np.uint8)
        frame[300 : 300 + small.shape[0], 900 : 900 + small.shape[1]] = small
        widths = [face.width for face in bundle.detector.detect(frame)]
        assert any(abs(w - bundle.quality.min_face_px) < 10 for w in widths)

    def test_no_face_in_nothing(self, bundle, rng):
        for blank in (
            np.zeros((480, 640, 3), dtype=np.uint8),
            np.full((100, 33, 3), 255, dtype=np.uint8),
            rng.integers(0, 256, (480, 640, 3), dtype=np.uint8),
            np.zeros((1, 1, 3), dtype=np.uint8),
        ):
            assert bundle.detector.detect(blank) == []

    def test_maps_with_broken_cells_give_no_face(self):
        maps = {}
        for stride in (8, 16, 32):
            maps[f"score_{stride}"] = np.full((1, 1, 2, 2), 0.9, dtype=np.float32)
            maps[f"box_{stride}"] = np.full((1, 4, 2, 2), np.nan, dtype=np.float32)
            maps[f"kps_{stride}"] = np.zeros((1, 10, 2, 2), dtype=np.float32)
        assert len(decode(maps, 0.5).scores) == 0

    def test_decoding_follows_the_layout(self):
        maps = {}
        for stride in (8, 16, 32):
            maps[f"score_{stride}"] = np.zeros((1, 1, 4, 5), dtype=np.float32)
            maps[f"box_{stride}"] = np.zeros((1, 4, 4, 5), dtype=np.float32)
            maps[f"kps_{stride}"] = np.zeros((1, 10, 4, 5), dtype=np.float32)
        maps["score_16"][0, 0, 2, 3] = 0.8
        maps["box_16"][0, :, 2, 3] = (0.5, 0.25, np.log(2), np.log(4))
        maps["kps_16"][0, 4:6, 2, 3] = (1.0, -1.0)
        found = decode(maps, 0.5)
        assert np.allclose(found.boxes, [[56 - 16, 36 - 32, 56 + 16, 36 + 32]])
        assert np.allclose(found.landmarks[0, 2], (64, 16))
        assert np.allclose(found.landmarks[0, 0], (48, 32))

    def test_suppression_keeps_the_surest_of_each_place(self):
        boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 0, 30, 10]], dtype=np.float32)
        assert suppress(boxes, np.array([0.7, 0.9, 0.8], dtype=np.float32), 0.3) == [1, 2]

    def test_candidates_of_one_face_agree_on_its_landmarks_by_score(self):
        near, neighbour = [0, 0, 10, 10], [5, 0, 15, 10]
        boxes = np.array([near, [0, 1, 10, 11], neighbour], dtype=np.float32)
        points = np.stack([np.full((5, 2), value, dtype=np.float32) for value in (4, 8, 100)])
        found = Candidates(boxes, points, np.array([0.9, 0.3, 0.8], dtype=np.float32))
        # It shares a third of the box with its neighbour, so it is another face.
        assert np.allclose(agreed_landmarks(found, [0])[0], (0.9 * 4 + 0.3 * 8) / 1.2)
        assert np.allclose(agreed_landmarks(found, [2, 1])[0], 100)
        assert agreed_landmarks(found, []).shape == (0, 5, 2)


class TestVerifier:
    @pytest.fixture
    def embedding(self, bundle, picture):
        def embed(name):
            rgb = picture(name)
            crop = align(rgb, largest(bundle.detector.detect(rgb)).landmarks)
            return bundle.verifier.embed(crop[np.newaxis])[0]

        return embed

    def test_one_person_is_alike_and_strangers_are_not(self, bundle, embedding):
        threshold = bundle.thresholds.operating_point(1e-4).threshold
        people = {name: embedding(name) for name in (*SAME, *STRANGERS)}
        for name in SAME[1:]:
            assert score(people["obama"], people[name]) > threshold
        for stranger in STRANGERS:
            assert max(score(people[stranger], people[name]) for name in SAME) < threshold - 0.1

    def test_embeddings_are_unit_float32_and_do_not_depend_on_the_batch(self, bundle, rng):
        crops = rng.integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
        together = bundle.verifier.embed(crops)
        assert together.dtype == np.float32
        assert together.shape == (3, bundle.verifier.embedding_size)
        assert np.allclose(np.linalg.norm(together[:, :-1], axis=1), 1.0, atol=1e-5)
        assert ((together[:, -1] > 0.0) & (together[:, -1] < MAX_CROWDING)).all()
        alone = np.concatenate([bundle.verifier.embed(crop[np.newaxis]) for crop in crops])
        assert np.allclose(together, alone, atol=1e-4)
        assert bundle.verifier.embed(crops[:0]).shape == (0, bundle.verifier.embedding_size)

    @pytest.mark.parametrize(
        "crops",
        [
            np.zeros((1, 112, 112), np.uint8),
            np.zeros((1, 3, 112, 112), np.uint8),
            np.zeros((1, 112, 112, 3), np.float32),
        ],
    )
    def test_crops_of_another_shape_or_type_are_refused(self, bundle, crops):
        with pytest.raises(ValueError, match="crops"):
            bundle.verifier.embed(crops)

    @pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
    def test_an_answer_that_is_no_direction_is_an_error_not_a_match(self, bundle, value):
        class Broken:
            def run(self, image, outputs):
                return {"embedding": np.full((len(image), 8), value, np.float32)}

        broken = Embedder(Broken(), model="m", directions=8, crowding=False)
        with pytest.raises(RuntimeError, match="not an embedding"):
            broken.embed(np.zeros((2, 112, 112, 3), dtype=np.uint8))


@pytest.mark.skipif(len(available()) < 2, reason="only one inference runtime has a wheel here")
def test_runtimes_agree_on_every_real_face(picture):
    bundles = [load_bundle(runtime=name) for name in available()]
    crops = []
    for name in (*SAME, *STRANGERS):
        rgb = picture(name)
        for width in (200, 400, 800):
            found = [largest(b.detector.detect(resized(rgb, width))) for b in bundles]
            assert np.abs(found[0].landmarks - found[1].landmarks).max() < 0.5
            assert abs(found[0].score - found[1].score) < 0.01
            crops.append(align(resized(rgb, width), found[0].landmarks))
            crops.append((crops[-1] * 0.3).astype(np.uint8))
    first, second = (b.verifier.embed(np.stack(crops)) for b in bundles)
    cosines = (first * second).sum(axis=1)
    assert cosines.min() >= 0.999


class TestRecognise:
    def test_a_frame_becomes_evidence_for_each_face(self, bundle, picture):
        gallery = {"barack": tuple(examine(bundle, picture(n)).template for n in SAME[:1])}
        matcher = gallery_matcher(bundle, gallery)
        left, right = resized(picture("obama3"), 500)[:500], resized(picture("biden"), 500)[:500]
        frame = Frame(np.hstack([left, right]), taken_at=5.0)
        sighting = recognise(bundle, matcher, frame)
        assert (sighting.taken_at, sighting.digest) == (5.0, frame.digest)
        by_side = sorted(sighting.evidence, key=lambda e: e.face.box[0])
        threshold = bundle.thresholds.operating_point(1e-4).threshold
        assert by_side[0].match.person == "barack"
        assert by_side[0].match.similarity >= threshold > by_side[-1].match.similarity

    def test_a_face_outside_the_limits_is_not_embedded(self, bundle, picture):
        dark = (resized(picture("obama"), 500) * 0.12).astype(np.uint8)
        strict = dataclasses.replace(
            bundle, quality=dataclasses.replace(bundle.quality, min_brightness=60.0)
        )
        for item in recognise(strict, gallery_matcher(strict, {}), Frame(dark, 0.0)).evidence:
            assert item.problem is Problem.TOO_DARK
            assert item.embedding is None
            assert item.match is None

    def test_equal_pixels_are_equal_frames_and_others_are_not(self, picture):
        rgb = picture("obama")
        other = rgb.copy()
        other[0, 0, 0] ^= 1
        assert Frame(rgb, 1.0).digest == Frame(rgb.copy(), 2.0).digest != Frame(other, 1.0).digest
        turned = np.zeros((4, 6, 3), np.uint8), np.zeros((6, 4, 3), np.uint8)
        assert Frame(turned[0], 0.0).digest != Frame(turned[1], 0.0).digest


class TestEnrolment:
    @pytest.mark.parametrize("name", SAME)
    @pytest.mark.parametrize("share", [0.3, 0.6, 0.75])
    def test_a_face_that_nearly_fills_a_large_picture_is_accepted(
        self, bundle, picture, name, share
    ):
        rgb = picture(name)
        x1, y1, x2, y2 = largest(bundle.detector.detect(rgb)).box
        half = (y2 - y1) / share / 2
        middle = ((x1 + x2) / 2, (y1 + y2) / 2)
        box = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
        selfie = Image.fromarray(rgb).crop(tuple(round(v) for v in box)).resize((1600, 1600))
        template = examine(bundle, np.asarray(selfie)).template
        assert is_same_person(bundle, template.embedding, [examine(bundle, rgb).template])

    def refused(self, bundle, rgb, others=()):
        with pytest.raises(PictureError) as error:
            examine(bundle, rgb, others)
        return error.value.problem

    def test_accepted_pictures_of_one_person_agree(self, bundle, picture):
        portraits = []
        for name in SAME:
            portraits.append(examine(bundle, picture(name), tuple(p.template for p in portraits)))
        assert all(p.template.model == bundle.verifier.model for p in portraits)
        assert all(p.crop.shape == (112, 112, 3) for p in portraits)

    def test_a_stored_crop_gives_the_same_template_again(self, bundle, picture):
        portrait = examine(bundle, picture("obama"))
        stored = decode_rgb(encode_png(portrait.crop))
        again = embed_crop(bundle, stored)
        assert again.model == portrait.template.model
        assert float(again.embedding @ portrait.template.embedding) > 0.9999

    def test_each_flaw_is_named(self, bundle, picture):
        rgb = resized(picture("obama"), 600)
        assert self.refused(bundle, np.zeros_like(rgb)) is Problem.NO_FACE
        assert self.refused(bundle, np.hstack([rgb, rgb])) is Problem.SEVERAL_FACES
        face = largest(bundle.detector.detect(rgb))
        small = resized(rgb, int(600 * 0.85 * bundle.quality.min_face_px / face.width))
        assert self.refused(bundle, small) is Problem.FACE_TOO_SMALL
        assert self.refused(bundle, (rgb * 0.12).astype(np.uint8)) is Problem.TOO_DARK
        blurred = np.asarray(Image.fromarray(resized(rgb, 60)).resize((600, rgb.shape[0])))
        assert self.refused(bundle, blurred) is Problem.BLURRED

    def test_a_picture_of_somebody_else_is_refused(self, bundle, picture):
        template = examine(bundle, picture("obama")).template
        assert self.refused(bundle, picture("biden"), [template]) is Problem.OTHER_PERSON
        assert not is_same_person(
            bundle, examine(bundle, picture("biden")).template.embedding, [template]
        )
