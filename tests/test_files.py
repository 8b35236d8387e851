"""A song file in, a file per stem out: the contract on length, sum, level, tags, and failure."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from unmix import rendering
from unmix.audio import AudioWriter, probe, read_audio
from unmix.audio.tags import read_tags
from unmix.errors import AudioError, Cancelled, ConfigError, UnmixError
from unmix.files import SeparatedFile, choose_stems, separate_file, stem_paths
from unmix.rendering import StemSeparator

Samples = NDArray[np.float32]
MakeSong = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes | None]]
LSB = 2.0**-15


def _sum(done: SeparatedFile) -> Samples:
    stems = [read_audio(path)[0] for path in done.stems.values()]
    return np.sum(stems, axis=0, dtype=np.float64).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("sample_rate", [8000, 44100, 96000])
@pytest.mark.parametrize(("bit_depth", "error"), [(16, 1.01 * LSB), (24, 1e-6), (32, 1e-6)])
def test_stems_are_like_the_song_and_sum_to_it(
    splitter: StemSeparator,
    make_song: MakeSong,
    tmp_path: Path,
    channels: int,
    sample_rate: int,
    bit_depth: int,
    error: float,
) -> None:
    song = make_song(
        tmp_path / "song.wav", seconds=0.7, sample_rate=sample_rate, channels=channels
    )
    done = separate_file(splitter, song, tmp_path / "out", bit_depth=bit_depth)
    mixture, _ = read_audio(song)
    assert done.stems == {
        "vocals": tmp_path / "out" / "song" / "vocals.wav",
        "accompaniment": tmp_path / "out" / "song" / "accompaniment.wav",
    }
    assert done.samples == mixture.shape[1]
    assert done.seconds == pytest.approx(0.7)
    assert (done.channels, done.sample_rate, done.gain) == (channels, sample_rate, 1.0)
    assert (done.warnings, done.skipped) == ((), False)
    for path in done.stems.values():
        info = probe(path)
        assert (info.channels, info.sample_rate, info.length) == (channels, sample_rate, done.samples)
    np.testing.assert_allclose(_sum(done), mixture, atol=error)


@pytest.mark.parametrize("seconds", [0, 1 / 44100, 2.0])
@pytest.mark.parametrize("bit_depth", [16, 32])
def test_any_length(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, seconds: float, bit_depth: int
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=seconds)
    done = separate_file(splitter, song, tmp_path, bit_depth=bit_depth)
    assert _sum(done).shape == read_audio(song)[0].shape == (2, done.samples)


@pytest.mark.parametrize("format", ["wav", "flac", "aiff", "mp3", "ogg", "opus", "m4a"])
def test_every_format_keeps_length_and_place(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, format: str
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=1.3, sample_rate=48000)
    done = separate_file(splitter, song, tmp_path, format=format)
    mixture, _ = read_audio(song)
    total = _sum(done)
    assert total.shape == mixture.shape
    # At another place, or at another level, noise would have nothing in common with itself.
    assert np.corrcoef(total[0], mixture[0])[0, 1] > (0.9999 if done.gain == 1 else 0.9)


@pytest.mark.parametrize(("format", "bit_depth"), [("wav", 16), ("wav", 24), ("flac", 16)])
def test_one_gain_for_all_where_one_would_clip(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, format: str, bit_depth: int
) -> None:
    song = make_song(tmp_path / "hot.wav", peak=4.0, bit_depth=32)
    done = separate_file(splitter, song, tmp_path, format=format, bit_depth=bit_depth)
    mixture, _ = read_audio(song)
    assert done.gain == pytest.approx(1 / (0.7 * 4), rel=1e-5)
    assert any("lowered by 8.9" in sentence and "hot.wav" in sentence for sentence in done.warnings)
    stems = {name: read_audio(path)[0] for name, path in done.stems.items()}
    np.testing.assert_allclose(stems["vocals"], done.gain * 0.3 * mixture, atol=LSB)
    np.testing.assert_allclose(stems["accompaniment"], done.gain * 0.7 * mixture, atol=LSB)
    # Full scale is reached by one sample, and passed by none.
    assert (np.abs(stems["accompaniment"]) > 1 - 2 * LSB).sum() == 1


def test_floats_keep_any_level(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "hot.wav", peak=4.0, bit_depth=32)
    done = separate_file(splitter, song, tmp_path, bit_depth=32)
    assert (done.gain, done.warnings) == (1.0, ())
    np.testing.assert_allclose(_sum(done), read_audio(song)[0], atol=1e-6)


def test_only_what_is_written_decides_the_gain(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "hot.wav", peak=1.3, bit_depth=32)
    done = separate_file(splitter, song, tmp_path, stems="vocals")
    assert list(done.stems) == ["vocals"]
    assert (done.gain, done.warnings) == (1.0, ())


def test_skip_makes_what_is_missing_at_the_level_of_the_rest(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "hot.wav", peak=4.0, bit_depth=32)
    first = separate_file(splitter, song, tmp_path)
    content = {name: path.read_bytes() for name, path in first.stems.items()}
    first.stems["vocals"].unlink()
    kept = first.stems["accompaniment"].stat().st_mtime_ns
    second = separate_file(splitter, song, tmp_path, existing="skip")
    assert second == first
    assert {name: path.read_bytes() for name, path in second.stems.items()} == content
    assert second.stems["accompaniment"].stat().st_mtime_ns == kept


def test_existing_files_are_an_error_or_replaced_or_kept(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, tree: Tree
) -> None:
    song = make_song(tmp_path / "song.wav")
    done = separate_file(splitter, song, tmp_path)
    for path in done.stems.values():
        path.write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(UnmixError, match=r"vocals.wav.*accompaniment.wav.*--overwrite"):
        separate_file(splitter, song, tmp_path)
    kept = separate_file(_Forbidden(), song, tmp_path, existing="skip")
    assert (kept.skipped, kept.stems, kept.samples) == (True, done.stems, 0)
    assert tree(tmp_path) == before
    again = separate_file(splitter, song, tmp_path, existing="overwrite")
    assert again == done
    np.testing.assert_allclose(_sum(again), read_audio(song)[0], atol=1.01 * LSB)


class _Forbidden:
    """A separator that must not be asked."""

    stems = ("vocals", "accompaniment")
    model_name = "forbidden"

    def stream(self, blocks: Iterable[Samples], sample_rate: int) -> Iterator[dict[str, Samples]]:
        raise AssertionError("nothing was to be separated")


class _Breaks:
    """A separator that fails on the way."""

    stems = ("vocals", "accompaniment")
    model_name = "breaks"

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def stream(self, blocks: Iterable[Samples], sample_rate: int) -> Iterator[dict[str, Samples]]:
        for block in blocks:
            yield {"vocals": block, "accompaniment": 0 * block}
            raise self._error


def _break_method(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: BaseException, after: int
) -> None:
    original = getattr(owner, name)
    calls = iter(range(10**9))

    def call(*args: object, **options: object) -> object:
        if next(calls) >= after:
            raise error
        return original(*args, **options)

    monkeypatch.setattr(owner, name, call)


FAILURES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "writing": lambda patch: _break_method(
        patch, AudioWriter, "write", AudioError("no room"), after=3
    ),
    "completing": lambda patch: _break_method(
        patch, AudioWriter, "close", OSError(28, "No space left"), after=1
    ),
    "tagging": lambda patch: _break_tags(patch),
    "publishing": lambda patch: patch.setattr(rendering, "publish", _break_publishing),
}


def _break_tags(patch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> list[str]:
        raise AudioError("the disk is read-only")

    patch.setattr("unmix.files.copy_tags", fail)


def _break_publishing(moves: list[tuple[Path, Path]], *, overwrite: bool) -> None:
    raise PermissionError(13, "Permission denied", str(moves[1][1]))


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("bit_depth", [16, 32])
@pytest.mark.parametrize("replace", [False, True])
def test_a_failure_anywhere_leaves_the_folder_as_it_was(
    splitter: StemSeparator,
    make_song: MakeSong,
    tmp_path: Path,
    tree: Tree,
    monkeypatch: pytest.MonkeyPatch,
    failure: str,
    bit_depth: int,
    replace: bool,
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=3)
    if replace:
        (tmp_path / "out" / "song").mkdir(parents=True)
        (tmp_path / "out" / "song" / "vocals.wav").write_text("mine")
    before = tree(tmp_path)
    FAILURES[failure](monkeypatch)
    with pytest.raises(AudioError) as caught:
        separate_file(
            splitter, song, tmp_path / "out", bit_depth=bit_depth, existing="overwrite"
        )
    assert ".unmix-" not in str(caught.value)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "error", [Cancelled("stop"), KeyboardInterrupt(), SystemExit(143), ValueError(), MemoryError()]
)
def test_what_the_separator_raises_passes_through(
    make_song: MakeSong, tmp_path: Path, tree: Tree, error: BaseException
) -> None:
    song = make_song(tmp_path / "song.wav")
    before = tree(tmp_path)
    with pytest.raises(type(error)) as caught:
        separate_file(_Breaks(error), song, tmp_path / "a" / "b")
    assert caught.value is error
    assert tree(tmp_path) == before


@pytest.mark.parametrize("bit_depth", [16, 32])
@pytest.mark.parametrize("at", [0.0, 0.4, 0.95, 1.0])
def test_progress_never_falls_and_cancels_anywhere(
    splitter: StemSeparator,
    make_song: MakeSong,
    tmp_path: Path,
    tree: Tree,
    bit_depth: int,
    at: float,
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=3)
    before = tree(tmp_path)

    def cancel(fraction: float) -> None:
        if fraction >= at:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        separate_file(splitter, song, tmp_path / "out", bit_depth=bit_depth, progress=cancel)
    assert tree(tmp_path) == before
    fractions: list[float] = []
    separate_file(
        splitter, song, tmp_path / "out", bit_depth=bit_depth, progress=fractions.append
    )
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert len(fractions) > 10


def test_nothing_is_put_in_the_systems_temporary_folder(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is memory on many systems; a long song's spool belongs on the disk of the stems."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    song = make_song(tmp_path / "song.wav")
    places: list[set[str]] = []

    def look(_: float) -> None:
        places.append({path.parent.name[:7] for path in tmp_path.rglob("*.raw")})

    separate_file(splitter, song, tmp_path / "out", progress=look)
    assert {".unmix-"} in places


def test_wrong_requests_are_refused_before_any_work(
    make_song: MakeSong, tmp_path: Path, tree: Tree
) -> None:
    song = make_song(tmp_path / "song.wav", channels=6)
    before = tree(tmp_path)
    wrong: list[tuple[type[UnmixError], str, dict[str, object]]] = [
        (UnmixError, r"no stem 'drums'; choose from all, vocals", {"stems": ("drums",)}),
        (UnmixError, r"no stems to write", {"stems": ()}),
        (ConfigError, r"unknown format 'mp5'; choose from wav", {"format": "mp5"}),
        (ConfigError, r"no bit depth of 8; choose from", {"bit_depth": 8}),
        (ConfigError, r"unknown bit rate", {"format": "mp3", "bitrate": "loud"}),
        (UnmixError, r"unknown field", {"template": "{singer}"}),
        (UnmixError, r"would be one file", {"template": "{name}"}),
        (UnmixError, r"song itself", {"template": "../song", "stems": "vocals"}),
        (UnmixError, r"choose from error, overwrite", {"existing": "perhaps"}),
        (AudioError, r"mp3 holds 1 to 2 channels, not 6", {"format": "mp3"}),
    ]
    for error, sentence, options in wrong:
        if options.get("template") == "../song":
            options["template"] = "song"
        with pytest.raises(error, match=sentence):
            separate_file(_Forbidden(), song, tmp_path, **options)  # type: ignore[arg-type]
    assert tree(tmp_path) == before


def test_a_file_in_place_of_the_folder_is_one_sentence(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, tree: Tree
) -> None:
    song = make_song(tmp_path / "song.wav")
    before = tree(tmp_path)
    with pytest.raises(AudioError, match="cannot be written"):
        separate_file(splitter, song, song)
    assert tree(tmp_path) == before


def test_stems_are_chosen_by_name(splitter: StemSeparator) -> None:
    assert choose_stems(splitter, "all") == ("vocals", "accompaniment")
    assert choose_stems(splitter, "vocals") == ("vocals",)
    assert choose_stems(splitter, ["accompaniment", "accompaniment"]) == ("accompaniment",)


def test_the_listener_hears_the_song_at_its_own_level(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "hot.wav", peak=4.0, bit_depth=32)
    heard: list[Samples] = []
    separate_file(
        splitter,
        song,
        tmp_path,
        stems="vocals",
        listener=lambda stems: heard.append(stems["vocals"] + stems["accompaniment"]),
    )
    np.testing.assert_allclose(np.concatenate(heard, 1), read_audio(song)[0], atol=1e-6)


def test_a_rate_that_the_format_has_not_is_said(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "song.wav")
    done = separate_file(splitter, song, tmp_path, format="opus")
    assert (done.sample_rate, done.samples) == (48000, 48000)
    assert any("44100 Hz" in sentence and "48000 Hz" in sentence for sentence in done.warnings)
    assert read_audio(done.stems["vocals"])[0].shape == (2, 48000)


def test_tags_and_cover_travel_and_name_the_stems(
    splitter: StemSeparator, songs: list[Path], tmp_path: Path
) -> None:
    song = next(path for path in songs if "fantasma" in path.name)
    tags = read_tags(song)
    template = "{artist}/{album}/{track} {title} [{stem}, {model}].{ext}"
    done = separate_file(splitter, song, tmp_path, format="flac", template=template)
    path = done.stems["vocals"]
    assert path.name == "01 Fantasma [vocals, split].flac"
    assert path.parent.parent == tmp_path / "Los Rombos"
    copied = read_tags(path)
    assert copied.title == "Fantasma (vocals)"
    assert (copied.artist, copied.album) == (tags.artist, tags.album)
    assert copied.pictures == tags.pictures != ()


def test_a_song_without_tags_is_named_by_its_file(make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song(tmp_path / "my song.wav")
    template = "{artist} - {title}/{album}/{track} {stem}"
    assert stem_paths(song, "out", stems=["vocals"], template=template) == {
        "vocals": Path("out/Unknown artist - my song/Unknown album/00 vocals.wav")
    }


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("empty.wav", "empty"),
        ("text.mp3", "not an audio file"),
        ("no-audio.mp4", "no audio"),
        ("missing.mp3", "does not exist"),
        (".", "is a folder"),
    ],
)
def test_what_is_no_song_is_one_sentence_and_leaves_nothing(
    splitter: StemSeparator, tricky: Path, tmp_path: Path, name: str, sentence: str
) -> None:
    with pytest.raises(AudioError, match=sentence):
        separate_file(splitter, tricky / name, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "offset-granule.opus",
        "no-samples.wav",
        "one-sample.wav",
        "silence.wav",
        "surround.wav",
        "streamed-size.wav",
        "video.mp4",
        "nan.wav",
        "hot.wav",
        "truncated.flac",
    ],
)
def test_tricky_songs_are_separated(
    splitter: StemSeparator, tricky: Path, tmp_path: Path, name: str
) -> None:
    done = separate_file(splitter, tricky / name, tmp_path, bit_depth=32)
    mixture, rate = read_audio(tricky / name)
    assert (done.sample_rate, done.channels, done.samples) == (rate, *mixture.shape)
    np.testing.assert_allclose(_sum(done), mixture, atol=1e-5)
    said = " ".join(done.warnings)
    assert ("replaced by 0" in said) == (name == "nan.wav")
    assert ("cut short" in said) == (name == "truncated.flac")


def test_strict_refuses_what_does_not_decode_whole(
    splitter: StemSeparator, tricky: Path, tmp_path: Path
) -> None:
    with pytest.raises(AudioError, match=r"truncated.flac is cut short"):
        separate_file(splitter, tricky / "truncated.flac", tmp_path / "out", strict=True)
    assert list(tmp_path.iterdir()) == []
    assert separate_file(splitter, tricky / "nan.wav", tmp_path, strict=True).warnings


def test_the_excerpt_through_a_real_model(excerpt: Path, tmp_path: Path) -> None:
    from unmix.models import build
    from unmix.separator import Separator

    torch.manual_seed(0)
    small = {"n_fft": 1024, "hop_length": 256, "frames": 64, "width": 4, "depth": 3}
    separator = Separator(build("unet", small).eval(), device="cpu", quality="fast")
    done = separator.separate_file(excerpt, tmp_path, format="flac")
    mixture, rate = read_audio(excerpt)
    assert (done.sample_rate, done.channels, done.samples) == (rate, *mixture.shape)
    np.testing.assert_allclose(_sum(done), done.gain * mixture, atol=1.01 * LSB)
    assert all(np.square(read_audio(path)[0]).mean() > 1e-6 for path in done.stems.values())
