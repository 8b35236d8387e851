"""Packed corpora have the same samples as their source, or do not exist."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from unmix.data import (
    STEMS,
    CorpusConfig,
    MixingConfig,
    RandomMixtures,
    StemFile,
    open_corpus,
    pack,
    packing,
    read_folder,
    verify_packed,
)
from unmix.errors import UnmixError

RATE = 8000


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Two songs of noise: 16 bits, floats beyond full scale, mono, another rate, silence."""
    random = np.random.default_rng(0)
    for song in range(2):
        folder = tmp_path / "songs" / f"song {song}"
        folder.mkdir(parents=True)
        noise = random.uniform(-0.4, 0.4, (2 * RATE, 2))
        soundfile.write(folder / "vocals.wav", noise, RATE, "PCM_16")
        soundfile.write(folder / "drums.wav", 4 * noise, RATE, "FLOAT")
        soundfile.write(folder / "bass.flac", noise[:, 0], RATE, "PCM_24")
        soundfile.write(folder / "other.wav", noise[::2], RATE // 2, "FLOAT")
        soundfile.write(folder / "mixture.wav", 0 * noise, RATE, "PCM_16")
    return tmp_path


def _mixtures(folder: Path, path: str) -> RandomMixtures:
    config = CorpusConfig(path=path, vocals=1.0, accompaniment=1.0, coherent=1.0)
    return RandomMixtures(
        [open_corpus(config, folder)],
        MixingConfig(coherent=0.5, vocals_level=(0.0, 0.0)),
        sample_rate=RATE,
        channels=2,
        length=4000,
        seed=0,
        items=20,
    )


def test_items_are_those_of_the_source(songs: Path) -> None:
    pack(read_folder(songs / "songs", STEMS), songs / "packed", verify=True)
    source, packed = _mixtures(songs, "songs"), _mixtures(songs, "packed")
    for index in range(20):
        # Two steps of 16 bits: a sum of three stems, each rounded, with gains of up to 4 dB.
        torch.testing.assert_close(
            source[index], packed[index], rtol=0, atol=1e-4, msg=f"item {index}"
        )


def test_stems_are_kept_as_they_are(songs: Path) -> None:
    contents = read_folder(songs / "songs", STEMS)
    index = pack(contents, songs / "packed")
    again = read_folder(songs / "packed", STEMS)
    assert again.format == "packed"
    for source, packed in zip(contents.tracks, again.tracks, strict=True):
        assert (source.name, tuple(source.stems)) == (packed.name, tuple(packed.stems))
        for stem, file in packed.stems.items():
            theirs = source.stems[stem]
            form = ("sample_rate", "channels", "length")
            assert [getattr(file, name) for name in form] == [
                getattr(theirs, name) for name in form
            ]
            read = file.decode(0, 10**6), theirs.decode(0, 10**6)
            scale = index.tracks[packed.name][stem].scale
            assert np.abs(read[0] - read[1]).max() <= 0.51 * scale
            assert (scale > 2**-15) is (stem == "drums")
            assert file.is_silent() is theirs.is_silent() is (stem == "mixture")
            np.testing.assert_array_equal(file.decode(777, 99), read[0][:, 777:876])
            assert file.decode(file.length - 5, 99).shape == (file.channels, 5)
        exact = packed.stems["vocals"].decode(0, RATE), source.stems["vocals"].decode(0, RATE)
        np.testing.assert_array_equal(*exact)  # 16 bits stay what they are


def test_full_scale_is_kept_to_the_bit(tmp_path: Path) -> None:
    integers = np.array([-32768, 32767, 0, -1, 1] * 100, np.int16)
    (tmp_path / "song").mkdir()
    soundfile.write(tmp_path / "song" / "vocals.wav", integers, RATE, "PCM_16")
    index = pack(read_folder(tmp_path, STEMS), tmp_path / "packed")
    assert (tmp_path / "packed" / next(iter(index.shards))).read_bytes() == integers.tobytes()


def test_patterns_and_stems_hold_for_packed_corpora(songs: Path) -> None:
    pack(read_folder(songs / "songs", STEMS), songs / "packed")
    contents = read_folder(songs / "packed", ["vocals"], exclude=["*1"])
    assert [track.name for track in contents.tracks] == ["song 0"]
    assert tuple(contents.tracks[0].stems) == ("vocals",)
    with pytest.raises(UnmixError, match="no track matches"):
        read_folder(songs / "packed", ["piano"])


def test_a_packed_folder_of_one_stem(songs: Path) -> None:
    """Only the path changes in a recipe."""
    config = CorpusConfig(path="songs", single="vocals", vocals=1.0)
    tracks = open_corpus(config, songs).tracks
    pack(open_corpus(config, songs).contents, songs / "packed")
    packed = open_corpus(config.model_copy(update={"path": "packed"}), songs).tracks
    assert [track.name for track in packed] == [track.name for track in tracks]


def test_the_shards_are_split_and_the_index_documents_them(songs: Path) -> None:
    index = pack(read_folder(songs / "songs", STEMS), songs / "packed", shard_size=1000)
    assert sorted(path.name for path in (songs / "packed").iterdir()) == [
        "shard-00000.i16",
        "shard-00001.i16",
        "unmix-pack.json",
    ]
    written = json.loads((songs / "packed" / "unmix-pack.json").read_text())
    assert written == index.model_dump(mode="json")
    assert all(fault is None for _, fault in verify_packed(songs / "packed"))


def _interrupt_after(monkeypatch: pytest.MonkeyPatch, stems: int, error: BaseException) -> None:
    """Make packing fail at a stem, as if the process were killed there."""
    real, count = packing._add_stem, 0

    def add(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count > stems:
            arguments[0].write(b"half a stem")
            raise error
        return real(*arguments)

    monkeypatch.setattr(packing, "_add_stem", add)


@pytest.mark.parametrize("stems", [0, 3, 5, 7, 9])
def test_an_interrupted_packing_is_none_and_goes_on(
    songs: Path, monkeypatch: pytest.MonkeyPatch, stems: int
) -> None:
    contents, out = read_folder(songs / "songs", STEMS), songs / "packed"
    whole = pack(contents, songs / "whole", shard_size=1000)
    with monkeypatch.context() as patch:
        _interrupt_after(patch, stems, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            pack(contents, out, shard_size=1000)
    assert not out.exists()
    with pytest.raises(UnmixError, match="no tracks found"):
        read_folder(songs / ".packed.packing", STEMS)
    calls = []
    real = packing._add_stem
    monkeypatch.setattr(packing, "_add_stem", lambda *a: (calls.append(a), real(*a))[1])
    assert pack(contents, out, shard_size=1000) == whole
    assert len(calls) == (5 if stems >= 5 else 10)  # a shard that was complete stays
    assert not (songs / ".packed.packing").exists()


def test_a_full_disk_is_a_sentence_and_goes_on(
    songs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = read_folder(songs / "songs", STEMS)
    with monkeypatch.context() as patch:
        _interrupt_after(patch, 7, OSError(28, "No space left on device"))
        with pytest.raises(UnmixError, match=r"No space left on device; run the same command"):
            pack(contents, songs / "packed")
    pack(contents, songs / "packed", verify=True)


def test_another_packing_does_not_go_on(songs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = read_folder(songs / "songs", STEMS)
    with monkeypatch.context() as patch:
        _interrupt_after(patch, 5, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            pack(contents, songs / "packed")
    (songs / "songs" / "song 0" / "vocals.wav").touch()
    with pytest.raises(UnmixError, match="other files, or files that have changed"):
        pack(read_folder(songs / "songs", STEMS), songs / "packed")


def test_what_exists_is_left_alone(songs: Path) -> None:
    with pytest.raises(UnmixError, match="exists already"):
        pack(read_folder(songs / "songs", STEMS), songs / "songs")


def test_damaged_stems_are_left_out_by_name(songs: Path) -> None:
    cut = songs / "songs" / "song 0" / "vocals.wav"
    cut.write_bytes(cut.read_bytes()[:9000])
    (songs / "songs" / "song 1" / "bass.flac").write_bytes(b"no sound")
    contents = read_folder(songs / "songs", STEMS)
    index = pack(contents, songs / "packed", verify=True)
    assert [it.stem for it in index.skipped] == ["bass", "vocals"]
    assert f"{cut} is cut short or damaged" in index.skipped[1].reason
    packed = read_folder(songs / "packed", STEMS).tracks
    assert "vocals" not in packed[0].stems
    assert "bass" not in packed[1].stems
    with pytest.raises(UnmixError, match="cut short"):
        pack(contents, songs / "strict", strict=True)
    assert not (songs / "strict").exists()


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "song").mkdir()
    path = tmp_path / "song" / "vocals.wav"
    soundfile.write(path, np.ones(9000) / 2, RATE)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(UnmixError, match="nothing to pack"):
        pack(read_folder(tmp_path, STEMS), tmp_path / "packed")


def test_verification_finds_what_differs(songs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = read_folder(songs / "songs", STEMS)
    real = StemFile.blocks
    calls = 0

    def changed(file: StemFile) -> Any:
        nonlocal calls
        calls += 1
        for block in real(file):
            yield block + np.float32(1e-3 * (calls > 12))

    monkeypatch.setattr(StemFile, "blocks", changed)
    with pytest.raises(UnmixError, match="differs from its packed samples"):
        pack(contents, songs / "packed", verify=True)
    assert not (songs / "packed").exists()


def test_damage_to_a_packed_corpus_is_found(songs: Path) -> None:
    out = songs / "packed"
    index = pack(read_folder(songs / "songs", STEMS), out, shard_size=1000)
    first, second = (out / name for name in index.shards)
    content = bytearray(first.read_bytes())
    content[1000] ^= 1
    first.write_bytes(content)
    second.write_bytes(second.read_bytes()[:-2])
    faults = dict(verify_packed(out))
    assert "expected SHA-256" in str(faults[first.name])
    assert "expected 2" in str(faults[second.name])
    with pytest.raises(UnmixError, match=f"{second.name}: damaged.*pack the corpus again"):
        read_folder(out, STEMS)
    second.unlink()
    assert "missing" in str(dict(verify_packed(out))[second.name])
    (out / "unmix-pack.json").write_text('{"format": "other"}')
    with pytest.raises(UnmixError, match="not the index of a packed corpus"):
        read_folder(out, STEMS)


@pytest.mark.parametrize("change", [{"shard": "none.i16"}, {"length": 10**6}])
def test_an_index_that_points_outside_is_refused(songs: Path, change: dict[str, Any]) -> None:
    out = songs / "packed"
    pack(read_folder(songs / "songs", STEMS), out)
    index = json.loads((out / "unmix-pack.json").read_text())
    index["tracks"]["song 0"]["drums"] |= change
    (out / "unmix-pack.json").write_text(json.dumps(index))
    with pytest.raises(UnmixError, match="damaged"):
        read_folder(out, STEMS)
    with pytest.raises(UnmixError, match="damaged"):  # verifying raises it or yields it
        raise UnmixError("".join(fault or "" for _, fault in verify_packed(out)))


def test_progress_goes_from_nothing_to_all(songs: Path) -> None:
    told: list[tuple[float, str]] = []
    pack(
        read_folder(songs / "songs", STEMS),
        songs / "packed",
        shard_size=1000,
        verify=True,
        progress=lambda fraction, comes: told.append((round(fraction, 6), comes)),
    )
    assert told == [
        (0.0, "song 0"),
        (0.5, "song 1"),
        (0.0, "comparing song 0"),
        (0.5, "comparing song 1"),
    ]


def test_the_real_stem_files_can_be_packed(shared: Path, tmp_path: Path) -> None:
    contents = read_folder(shared / "data" / "musdb18-7-stems", STEMS)
    index = pack(contents, tmp_path / "packed", verify=True)
    assert (len(index.tracks), index.skipped) == (3, ())
    packed = read_folder(tmp_path / "packed", STEMS).tracks[0]
    for stem, file in contents.tracks[0].stems.items():
        ours, theirs = (it.decode(123_456, 44_100) for it in (packed.stems[stem], file))
        assert np.abs(ours - theirs).max() <= 1.1 * 2**-15, stem
