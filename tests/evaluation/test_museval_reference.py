"""The scores that museval keeps of one song in its own tests, reproduced by ours.

They are of museval 0.3.0, in ``tests/data/Music Delta - 80s Rock.json`` of its repository (MIT
licence): of noise as the estimates of vocals and accompaniment, frame by frame.
"""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from unmix.evaluation.museval_backend import museval_scores
from unmix.metrics import BSSOptions, bss_eval

pytestmark = pytest.mark.slow

KEPT = {
    "vocals": {
        "sdr": (-16.89156, -15.90668, -12.74888, -14.10039, -15.33723, -16.37514),
        "sir": (9.75952, 9.06763, 6.47532, 3.52292, 9.26284, 9.36795),
        "sar": (-3.94092, -3.28736, -7.01513, -13.64068, -8.47172, -7.63887),
        "isr": (-14.67801, -14.73029, -6.46934, -2.42318, -7.57783, -9.37330),
    },
    "accompaniment": {
        "sdr": (-13.29782, -12.55332, -13.42369, -14.13454, -12.84300, -13.28168),
        "sir": (-25.90516, -24.83962, -16.37932, -6.82760, -14.57014, -21.15102),
        "sar": (-4.06010, -3.36142, -7.10641, -13.70428, -8.63040, -7.74802),
        "isr": (-0.14012, -0.22987, -0.48281, -0.76336, -0.41445, -0.12459),
    },
}


# Streams of the file, and what museval's test sums up.
STREAMS = {"vocals": (4,), "accompaniment": (2, 1, 3)}


@pytest.fixture(scope="module")
def signals() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimates and references ``[S, C, N]``, as museval's test has them.

    All that the decoder gives, as 16-bit integers: our own reader leaves out the last 141 samples,
    which the file says are the encoder's. The songs of this set are cut off amid the music, and how
    exactly they are cut decides what little there is in the references above the codec's band.
    """
    folder = Path(__file__).parents[3] / "shared" / "data" / "musdb18-7-stems" / "train"
    if not folder.is_dir():
        pytest.skip("needs the shared data, which is not part of the project")
    path = folder / "Music Delta - 80s Rock.stem.mp4"
    references = np.stack([sum(_decode(path, i) for i in row) for row in STREAMS.values()])
    random = np.random.RandomState(0)
    shape = references.shape[2], references.shape[1]
    return np.stack([random.random_sample(shape).T for _ in STREAMS]), references


def _decode(path: Path, stream: int) -> NDArray[np.float64]:
    with av.open(str(path)) as container:
        frames = [f.to_ndarray() for f in container.decode(container.streams.audio[stream])]
    steps = np.concatenate(frames, 1).astype(np.float64) * 2**15
    return np.clip(np.round(steps), -(2**15), 2**15 - 1) / 2**15


def test_what_museval_keeps_is_reproduced(
    signals: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Within a tenth of a decibel, as in museval's own test: decoders round differently."""
    estimates, references = map(torch.from_numpy, signals)
    options = BSSOptions(window=44100, hop=44100)
    ours = bss_eval(estimates=estimates, references=references, options=options)
    for name, tolerance in (("sdr", 1e-4), ("isr", 0.1), ("sir", 0.1), ("sar", 0.1)):
        kept = np.array([figures[name] for figures in KEPT.values()])
        np.testing.assert_allclose(getattr(ours, name).numpy(), kept, atol=tolerance)


def test_museval_of_today_says_the_same(
    signals: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    estimates, references = signals
    options = BSSOptions(window=44100, hop=44100)
    ours = bss_eval(
        estimates=torch.from_numpy(estimates),
        references=torch.from_numpy(references),
        options=options,
    )
    theirs = museval_scores(estimates=list(estimates), references=list(references), options=options)
    for name in ("sdr", "isr", "sir", "sar"):
        wanted = getattr(theirs, name)
        np.testing.assert_allclose(getattr(ours, name).numpy(), wanted, atol=1e-4)
