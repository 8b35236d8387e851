"""Data sets as they lie on disk: which tracks, which split, at which rate, with which mixture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unmix.data import StemFile
from unmix.errors import UnmixError
from unmix.evaluation import KINDS, open_dataset
from unmix.evaluation.musdb_tracks import musdb_tracks
from unmix.evaluation.signals import REFERENCE, write_references
from unmix.stems import MIXTURE

RATE = 8000
MakeTracks = Callable[..., Path]


def _write(path: Path, *, seconds: float = 0.5, rate: int = RATE, channels: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(abs(hash(path.name)) % 2**32)
    samples = 0.1 * random.standard_normal((round(seconds * rate), channels))
    soundfile.write(path, samples, rate, "PCM_16")


def test_a_folder_is_the_kind_of_a_path_alone(make_tracks: MakeTracks) -> None:
    root = make_tracks("songs/dev")
    for where in (root, str(root), f"folder:{root}"):
        assert [t.name for t in open_dataset(where).tracks] == ["song 0", "song 1", "song 2"]
    assert open_dataset(root.parent, "dev").name == "songs dev"
    with pytest.raises(UnmixError, match="test: no such folder"):
        open_dataset(root.parent, "test")


def test_tracks_can_be_chosen_by_name(make_tracks: MakeTracks) -> None:
    dataset = open_dataset(make_tracks())
    assert [t.name for t in dataset.only(["*0", "*2"]).tracks] == ["song 0", "song 2"]
    assert [t.name for t in dataset.only(exclude=["song 1"]).tracks] == ["song 0", "song 2"]
    with pytest.raises(UnmixError, match="none of the 3 tracks"):
        dataset.only(["nothing"])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_not_there_is_said(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UnmixError, match="no such folder"):
        open_dataset(f"{kind}:{tmp_path / 'nowhere'}")
    with pytest.raises(UnmixError, match=str(tmp_path)):
        open_dataset(f"{kind}:{tmp_path}")


def test_unknown_kinds_and_splits_list_the_known() -> None:
    with pytest.raises(UnmixError, match="unknown data set 'mushdb'; choose from musdb"):
        open_dataset("mushdb:somewhere")
    with pytest.raises(UnmixError, match="musdb has no split 'dev'; choose from train, valid"):
        open_dataset("musdb:somewhere", "dev")
    with pytest.raises(UnmixError, match="ccmixter has no split 'test'; it has none"):
        open_dataset("ccmixter:somewhere", "test")


@pytest.fixture
def musdb_hq(tmp_path: Path) -> Path:
    tracks = ("train/Nobody - Nothing", "train/Leaf - Summerghost", "test/Al James - Schoolboy")
    for track in tracks:
        for stem in (MIXTURE, "vocals", "drums", "bass", "other"):
            _write(tmp_path / track / f"{stem}.wav")
    return tmp_path


@pytest.mark.parametrize(
    ("split", "name"),
    [
        ("train", "Nobody - Nothing"),
        ("valid", "Leaf - Summerghost"),
        ("test", "Al James - Schoolboy"),
        (None, "Al James - Schoolboy"),
    ],
)
def test_musdb_hq_is_split_as_musdb_splits(musdb_hq: Path, split: str | None, name: str) -> None:
    dataset = open_dataset(f"musdb:{musdb_hq}", split)
    assert [track.name for track in dataset.tracks] == [name]
    assert set(dataset.tracks[0].stems) == {MIXTURE, "vocals", "drums", "bass", "other"}


def test_musdb_leaves_no_module_behind(musdb_hq: Path) -> None:
    import sys

    musdb_tracks(musdb_hq, "test")
    assert "musdb" not in sys.modules
    assert "stempeg" not in sys.modules


def test_musdb18_reads_stem_files(shared: Path) -> None:
    root = shared / "data" / "musdb18-7-stems"
    train = open_dataset(f"musdb:{root}", "train").tracks
    assert [track.name for track in train] == [
        "A Classic Education - NightOwl",
        "Music Delta - 80s Rock",
    ]
    valid = open_dataset(f"musdb:{root}", "valid").tracks
    assert [track.name for track in valid] == ["Actions - One Minute Smile"]
    lengths = {file.length for file in valid[0].stems.values()}
    assert len(lengths) == 1


def test_ccmixter_and_dsd100(tmp_path: Path) -> None:
    for name in ("source-01", "source-02", "mix"):
        _write(tmp_path / "cc" / "song" / f"{name}.wav")
    (track,) = open_dataset(f"ccmixter:{tmp_path / 'cc'}").tracks
    assert set(track.stems) == {"vocals", "accompaniment", MIXTURE}
    dsd = tmp_path / "dsd"
    for split in ("Dev", "Test"):
        _write(dsd / "Mixtures" / split / f"a {split}" / "mixture.wav")
        for stem in ("vocals", "drums", "bass", "other"):
            _write(dsd / "Sources" / split / f"a {split}" / f"{stem}.wav")
    for split in ("dev", "test"):
        (track,) = open_dataset(f"dsd100:{dsd}", split).tracks
        assert track.name == f"{split.capitalize()}/a {split.capitalize()}"


def test_mir1k_has_its_published_split(tmp_path: Path) -> None:
    """A clip has the accompaniment left and the voice right, and its mixture is their mean."""
    for clip in ("abjones_1_01", "amy_3_02", "leon_1_01", "Ani_1_01"):
        _write(tmp_path / "Wavfile" / f"{clip}.wav", rate=16000)
    train = open_dataset(f"mir1k:{tmp_path}", "train")
    assert [Path(t.name).name for t in train.tracks] == ["abjones_1_01", "amy_3_02"]
    test = open_dataset(f"mir1k:{tmp_path}")
    assert [Path(t.name).name for t in test.tracks] == ["Ani_1_01", "leon_1_01"]
    assert (test.sample_rate, test.audio_channels) == (16000, 1)
    place = tmp_path / "signals"
    place.mkdir()
    signals = write_references(test.tracks[0], test, ("vocals", "accompaniment"), place)
    samples, _ = soundfile.read(tmp_path / "Wavfile" / "Ani_1_01.wav", dtype="float32")
    np.testing.assert_array_equal(signals.read(REFERENCE + "vocals")[0], 0.5 * samples[:, 1])
    np.testing.assert_allclose(signals.read(MIXTURE)[0], samples.mean(1), atol=1e-7)


def test_mir1k_of_the_shared_data(shared: Path) -> None:
    where = f"mir1k:{shared / 'data' / 'mir1k'}"
    assert len(open_dataset(where, "train").tracks) == 175
    assert len(open_dataset(where, "test").tracks) == 825


def test_references_are_what_the_files_hold(make_tracks: MakeTracks, tmp_path: Path) -> None:
    dataset = open_dataset(make_tracks(tracks=1, seconds=40))
    (track,) = dataset.tracks
    place = tmp_path / "signals"
    place.mkdir()
    signals = write_references(track, dataset, ("vocals", "accompaniment"), place)
    assert signals.length == 40 * RATE
    assert (signals.sample_rate, signals.audio_channels) == (RATE, 2)
    for stem in ("vocals", "accompaniment"):
        wanted = track.read(stem, 0, signals.length, RATE, 2)
        np.testing.assert_allclose(signals.read(REFERENCE + stem), wanted, atol=1e-7)
    parts = [signals.read(REFERENCE + stem) for stem in ("vocals", "accompaniment")]
    np.testing.assert_allclose(signals.read(MIXTURE), parts[0] + parts[1], atol=1e-6)


def test_stems_of_two_lengths_end_in_silence(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "song" / "vocals.wav", seconds=0.3)
    _write(tmp_path / "data" / "song" / "accompaniment.wav", seconds=0.5)
    dataset = open_dataset(tmp_path / "data")
    place = tmp_path / "signals"
    place.mkdir()
    signals = write_references(dataset.tracks[0], dataset, ("vocals",), place)
    assert signals.length == RATE // 2
    tail = signals.read(REFERENCE + "vocals")[:, round(0.3 * RATE) :]
    assert not tail.any()


def test_stems_of_two_rates_are_refused(tmp_path: Path) -> None:
    _write(tmp_path / "data" / "song" / "vocals.wav", rate=8000)
    _write(tmp_path / "data" / "song" / "accompaniment.wav", rate=16000)
    dataset = open_dataset(tmp_path / "data")
    with pytest.raises(UnmixError, match="8000 and 16000 Hz"):
        write_references(dataset.tracks[0], dataset, ("vocals",), tmp_path)


def test_lossy_stems_are_rounded_as_musdb_reads_them(
    make_tracks: MakeTracks, tmp_path: Path
) -> None:
    dataset = open_dataset(make_tracks(tracks=1, stems=("vocals", "accompaniment"), suffix="ogg"))
    place = tmp_path / "signals"
    place.mkdir()
    signals = write_references(dataset.tracks[0], dataset, ("vocals",), place)
    steps = signals.read(REFERENCE + "vocals") * 2**15
    np.testing.assert_array_equal(steps, np.round(steps))
    file: StemFile = dataset.tracks[0].stems["vocals"]
    decoded = np.concatenate(list(file.blocks()), 1)
    assert np.abs(steps / 2**15 - decoded).max() <= 0.5 / 2**15
