"""Random access gives what reading everything gives, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from unmix.audio import FORMATS, read_audio, read_excerpt

PLACES = [(0, 100), (1, 5000), (44100, 44100), (200000, 33333), (441677, 500), (500000, 10), (7, 0)]
#: What the decoder's memory of earlier samples may change; wrong places differ by far more.
NOISE = {"opus": 1e-3, "m4a": 0.05}


def assert_same(excerpt, whole, start, length, tolerance=0.0):
    expected = whole[:, start : start + length]
    assert excerpt.shape == expected.shape
    assert excerpt.dtype == np.float32
    assert np.abs(excerpt - expected).max(initial=0) <= tolerance


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(tmp_path, write, excerpt_of_song, name):
    path = tmp_path / f"a.{name}"
    write(path, excerpt_of_song)
    whole, _ = read_audio(path)
    for start, length in PLACES:
        excerpt = read_excerpt(path, start, length)
        assert_same(excerpt, whole, start, length, NOISE.get(name, 0.0))


def test_far_into_a_long_ogg(songs):
    """libsndfile and FFmpeg both seek to wrong places in Vorbis, by hundreds of samples."""
    path = next(path for path in songs if path.suffix == ".ogg")
    whole, _ = read_audio(path)
    random = np.random.default_rng(0)
    places = [1649115, 3267260, 8185300, 5839752, 7538337, whole.shape[1] - 700]
    for start in [*places, *random.integers(0, whole.shape[1], 25).tolist()]:
        assert_same(read_excerpt(path, start, 500), whole, start, 500, 1e-5)


def test_short_ogg_excerpts_of_musdb(shared):
    path = sorted((shared / "data" / "musdb18-7" / "train").glob("*/vocals.ogg"))[0]
    whole, _ = read_audio(path)
    for start in (43243, 93540, 153532, 226529, 285112, 300000):
        assert_same(read_excerpt(path, start, 4000), whole, start, 4000)


@pytest.mark.parametrize(
    "name",
    ["nan.wav", "streamed-size.wav", "truncated.flac", "video.mp4", "offset-granule.opus"],
)
@pytest.mark.filterwarnings("ignore::unmix.AudioWarning")
def test_tricky_files(tricky, name):
    whole, _ = read_audio(tricky / name)
    for start in (0, 20000, 44000, 100001, 131000):
        excerpt = read_excerpt(tricky / name, start, 3000)
        assert_same(excerpt, whole, start, 3000, 1e-2 if name == "video.mp4" else 1e-3)
