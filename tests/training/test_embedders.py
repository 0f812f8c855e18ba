"""A picture is embedded once for all steps of a run."""

import numpy as np

from training.verifier.embedders import fingerprint, remembered


class Counting:
    """Embeds by mean colour and counts the pictures it was shown."""

    def __init__(self, gain=1.0):
        self.gain, self.shown = gain, 0

    def __call__(self, crops):
        self.shown += len(crops)
        means = crops.reshape(len(crops), -1, 3).mean(axis=1) * [1.0, self.gain, 1.0]
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


def test_a_picture_is_embedded_once_even_by_another_step(tmp_path, crops):
    network = Counting()
    embed = remembered(network, tmp_path)
    before = network.shown
    first = embed(crops[:8])
    assert network.shown == before + 8
    assert (embed(crops[4:12])[:4] == first[4:]).all()
    assert network.shown == before + 12
    later = Counting()
    again = remembered(later, tmp_path)(crops[::-1])
    assert later.shown == 2  # the fingerprint's pictures
    assert np.allclose(again[::-1][:8], first)


def test_another_network_remembers_nothing_of_the_first(tmp_path, crops):
    assert fingerprint(Counting()) != fingerprint(Counting(0.9))
    remembered(Counting(), tmp_path)(crops)
    other = Counting(0.9)
    found = remembered(other, tmp_path)(crops)
    assert np.allclose(found, Counting(0.9)(crops))
    assert other.shown == 2 + len(crops)


def test_equal_pictures_are_embedded_once(tmp_path, crops):
    network = Counting()
    found = remembered(network, tmp_path)(crops[[0, 0, 1, 0]])
    assert network.shown == 4
    assert (found[0] == found[3]).all()
    assert not (found[0] == found[2]).all()
