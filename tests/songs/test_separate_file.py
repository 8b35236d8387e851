"""A song file in, a file per stem out: the contract on length, sum, level, tags, and failure."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from writing import separate_file

from unmix.audio import AudioWriter, OutputFormat, probe, read_audio, read_excerpt
from unmix.audio.tags import read_tags
from unmix.audio.video import replace_sound
from unmix.errors import AudioError, AudioWarning, ConfigError, UnmixError
from unmix.songs.render import StemSeparator
from unmix.songs.separate import SeparatedFile, StemOptions, StemPlan, plan_stems
from unmix.songs.separator import Separator, separate

Samples = NDArray[np.float32]
MakeSong = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes | None]]
LSB = 2.0**-15
CONTAINERS = ("wav", "mp3", "ogg", "flac", "m4a", "mp4")


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
    song = make_song(tmp_path / "song.wav", seconds=0.7, sample_rate=sample_rate, channels=channels)
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
        assert (info.channels, info.sample_rate, info.length) == (
            channels,
            sample_rate,
            done.samples,
        )
    np.testing.assert_allclose(_sum(done), mixture, atol=error)


@pytest.mark.parametrize("seconds", [0, 1 / 44100, 2.0])
@pytest.mark.parametrize("bit_depth", [16, 32])
def test_any_length(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, seconds: float, bit_depth: int
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=seconds)
    done = separate_file(splitter, song, tmp_path, bit_depth=bit_depth)
    assert _sum(done).shape == read_audio(song)[0].shape == (2, done.samples)


@pytest.mark.parametrize("form", ["wav", "flac", "aiff", "mp3", "ogg", "opus", "m4a"])
def test_every_format_keeps_length_and_place(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, form: str
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=1.3, sample_rate=48000)
    done = separate_file(splitter, song, tmp_path, format=form)
    mixture, _ = read_audio(song)
    total = _sum(done)
    assert total.shape == mixture.shape
    # A single sample away, noise would have nothing in common with itself.
    assert np.corrcoef(total[0], mixture[0])[0, 1] > 0.8


@pytest.mark.parametrize(("form", "bit_depth"), [("wav", 16), ("wav", 24), ("flac", 16)])
def test_one_gain_for_all_where_one_would_clip(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, form: str, bit_depth: int
) -> None:
    song = make_song(tmp_path / "hot.wav", peak=4.0, bit_depth=32)
    done = separate_file(splitter, song, tmp_path, format=form, bit_depth=bit_depth)
    mixture, _ = read_audio(song)
    assert done.gain == pytest.approx(1 / (0.7 * 4), rel=1e-4)
    assert any("lowered by 8.9" in sentence and "hot.wav" in sentence for sentence in done.warnings)
    stems = {name: read_audio(path)[0] for name, path in done.stems.items()}
    np.testing.assert_allclose(stems["vocals"], done.gain * 0.3 * mixture, atol=LSB)
    np.testing.assert_allclose(stems["accompaniment"], done.gain * 0.7 * mixture, atol=LSB)
    assert 1 - 2 * LSB < np.abs(stems["accompaniment"]).max() <= 1


@pytest.mark.parametrize(
    ("extreme", "gain"),
    [(1 - LSB, 1), (-1, 1), (1, 1 - LSB), (-1 - 0.4 * LSB, 1), (-1.25, 0.8), (1.25, 0.8)],
)
def test_integers_reach_from_minus_one_to_a_step_below_one(
    make_splitter: Callable[..., StemSeparator], tmp_path: Path, extreme: float, gain: float
) -> None:
    song = tmp_path / "song.wav"
    form = OutputFormat.parse("wav", 32)
    with AudioWriter(song, sample_rate=44100, channels=1, format=form) as writer:
        writer.write(np.array([[0, 0.1, extreme, 0]], np.float32))
    done = separate_file(make_splitter(share=0.0), song, tmp_path)
    assert done.gain == pytest.approx(gain, rel=1e-4)
    assert (done.gain < 1) == (gain < 1) == bool(done.warnings)
    written = read_audio(done.stems["accompaniment"])[0][0, 2]
    assert written == pytest.approx(done.gain * extreme, abs=0.51 * LSB)


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
    """A separator that must not be called."""

    stems = ("vocals", "accompaniment")
    model_name = "forbidden"

    def stream(self, blocks: Iterable[Samples], sample_rate: int) -> Iterator[dict[str, Samples]]:
        raise AssertionError("nothing was to be separated")


@pytest.mark.parametrize("options", [{"existing": "bogus"}, {"stems": ()}, {"template": "{x}"}])
def test_options_are_checked_before_there_is_a_song(options: dict[str, Any]) -> None:
    with pytest.raises(UnmixError):
        StemOptions(**options)


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
        (UnmixError, r"would be one file", {"template": "{name} stem"}),
        (UnmixError, r"song itself", {"template": "{name}", "stems": "vocals"}),
        (UnmixError, r"choose from error, overwrite", {"existing": "perhaps"}),
        (AudioError, r"mp3 holds 1 to 2 channels, not 6", {"format": "mp3"}),
    ]
    for error, sentence, options in wrong:
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


def _plan(separator: StemSeparator, song: Path | str, **options: object) -> StemPlan:
    return plan_stems(separator, song, "out", StemOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stems", "names"),
    [
        ("all", ("vocals", "accompaniment")),
        ("vocals", ("vocals",)),
        (["accompaniment", "accompaniment"], ("accompaniment",)),
        (["instrumental", "no_vocals"], ("instrumental", "no_vocals")),
    ],
)
def test_stems_are_chosen_by_name(
    splitter: StemSeparator, stems: str | list[str], names: tuple[str, ...]
) -> None:
    plan = _plan(splitter, "song.wav", stems=stems)
    assert plan.names == names
    assert plan.paths == {name: Path(f"out/song/{name}.wav") for name in names}


def test_a_model_that_lacks_a_stem_names_those_that_have_it(splitter: StemSeparator) -> None:
    with pytest.raises(UnmixError, match=r"no stem 'drums'.*all, vocals.*has it: .*4stems"):
        _plan(splitter, "song.wav", stems="drums")


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


def test_a_rate_that_the_format_does_not_support_is_a_warning(
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


def test_a_song_without_tags_is_named_by_its_file(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "my song.wav")
    template = "{artist} - {title}/{album}/{track} {stem}"
    plan = _plan(splitter, song, stems="vocals", template=template)
    folder = Path("out/Unknown artist - my song/Unknown album")
    assert plan.paths == {"vocals": folder / "00 vocals.wav"}
    assert plan.path("spectrograms", "png") == folder / "00 spectrograms.png"


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
def test_a_file_that_is_not_a_song_is_one_sentence_and_leaves_nothing(
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
@pytest.mark.filterwarnings("ignore::unmix.AudioWarning")
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


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_contract_holds_for_random_songs(
    make_splitter: Callable[..., StemSeparator],
    make_song: MakeSong,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("random")
    song = make_song(
        folder / "song.wav",
        seconds=data.draw(st.floats(0, 0.5)),
        sample_rate=data.draw(st.integers(8000, 192000)),
        channels=data.draw(st.integers(1, 8)),
        peak=data.draw(st.floats(0, 4)),
        bit_depth=32,
    )
    splitter = make_splitter(
        share=data.draw(st.floats(-1, 2)), piece=data.draw(st.integers(1, 20000))
    )
    bit_depth = data.draw(st.sampled_from([16, 24, 32]))
    done = separate_file(splitter, song, folder, bit_depth=bit_depth)
    mixture, rate = read_audio(song)
    assert (done.sample_rate, done.channels, done.samples) == (rate, *mixture.shape)
    assert 0 < done.gain <= 1
    assert (done.gain < 1) == bool(done.warnings)
    error = {16: 1.01 * LSB, 24: 1e-6, 32: 1e-5}[bit_depth]
    np.testing.assert_allclose(_sum(done), done.gain * mixture, atol=error)


@pytest.fixture(
    scope="module", params=["untrained", pytest.param("default", marks=pytest.mark.slow)]
)
def separator(request: pytest.FixtureRequest) -> Separator:
    """A real separator: with a small, untrained model, and with the one that ships."""
    from unmix.models import build

    if request.param == "default":
        return Separator(device="cpu")
    torch.manual_seed(0)
    small = {"n_fft": 1024, "hop_length": 256, "frames": 64, "width": 4, "depth": 3}
    return Separator(build("unet", small).eval(), device="cpu", quality="fast")


@pytest.mark.parametrize("source", ["songs", "excerpt"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_real_songs_in_any_container(
    separator: StemSeparator,
    request: pytest.FixtureRequest,
    make_video: MakeSong,
    tmp_path: Path,
    container: str,
    source: str,
) -> None:
    found = request.getfixturevalue(source)
    songs = [found] if source == "excerpt" else found
    song = songs[CONTAINERS.index(container) % len(songs)]
    path = tmp_path / f"song.{container}"
    sound = tmp_path / "song.m4a" if container == "mp4" else path
    start = 4 if source == "excerpt" else 30  # seconds, where there is singing
    excerpt = read_excerpt(song, start * 44100, 6 * 44100 + 123)
    form = OutputFormat.parse(sound.suffix)
    with AudioWriter(sound, sample_rate=44100, channels=2, format=form) as writer:
        writer.write(np.clip(excerpt, -1, 1))
    if container == "mp4":
        film = make_video(tmp_path / "film.mp4", "libx264", "aac")
        replace_sound(film, sound, path, title="Film")
    mixture, rate = read_audio(path)
    assert mixture.shape == excerpt.shape
    for bit_depth, error in ((32, 1e-5), (16, 1.01 * LSB)):
        done = separate_file(separator, path, tmp_path / f"{bit_depth}", bit_depth=bit_depth)
        assert (done.sample_rate, done.channels, done.samples) == (rate, *mixture.shape)
        assert all(probe(p).sample_rate == rate for p in done.stems.values())
        np.testing.assert_allclose(_sum(done), done.gain * mixture, atol=error)
        assert all(np.square(read_audio(p)[0]).mean() > 1e-7 for p in done.stems.values())


def test_the_excerpt_through_a_real_model(
    separator: Separator, excerpt: Path, tmp_path: Path
) -> None:
    done = separator.separate_file(excerpt, tmp_path, format="flac")
    mixture, rate = read_audio(excerpt)
    assert (done.sample_rate, done.channels, done.samples) == (rate, *mixture.shape)
    np.testing.assert_allclose(_sum(done), done.gain * mixture, atol=1.01 * LSB)
    assert all(np.square(read_audio(path)[0]).mean() > 1e-6 for path in done.stems.values())


def test_options_of_the_public_method_reach_the_files(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "song.wav", seconds=0.1)
    fractions: list[float] = []
    call = partial(Separator.separate_file, splitter, song, tmp_path)  # type: ignore[arg-type]
    done = call(
        stems="vocals",
        format="flac",
        bit_depth=24,
        template="{name} ({stem})",
        strict=True,
        progress=fractions.append,
    )
    assert done.stems == {"vocals": tmp_path / "song (vocals).flac"}
    assert probe(done.stems["vocals"]).bit_depth == 24
    assert fractions[-1] == 1
    assert call(stems="vocals", format="flac", template="{name} ({stem})", existing="skip").skipped
    mp3 = call(stems="all", format="mp3", bitrate="128k")
    assert [probe(path).bitrate for path in mp3.stems.values()] == [128_000] * 2


@pytest.mark.slow
def test_half_a_song_is_a_warning_or_an_error(tricky: Path) -> None:
    song = tricky / "truncated.flac"
    with pytest.warns(AudioWarning, match=r"truncated.flac is cut short"):
        stems = separate(song, model="tfc-tdf-tiny", quality="fast", device="cpu")
    with pytest.warns(AudioWarning):
        assert stems["vocals"].shape == read_audio(song)[0].shape
    with pytest.raises(AudioError, match="strict"):
        separate(song, model="tfc-tdf-tiny", quality="fast", device="cpu", strict=True)
