"""A song in, its karaoke version out: beside it, in its format, with its tags and picture."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from writing import karaoke_file

from unmix.audio import AudioInfo, probe, read_audio
from unmix.audio.tags import read_tags
from unmix.audio.video import has_picture
from unmix.errors import AudioError, Cancelled, ConfigError, UnmixError
from unmix.songs.karaoke import KaraokeOptions, karaoke, plan_karaoke
from unmix.songs.render import StemSeparator

Samples = NDArray[np.float32]
MakeSong = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes | None]]
LSB = 2.0**-15


@pytest.mark.parametrize(
    ("guide", "level"), [(None, 0.7), (0.0, 1.0), (-6.0206, 0.85), (float("-inf"), 0.7)]
)
def test_the_guide_leaves_the_singer_in_at_its_level(
    splitter: StemSeparator,
    make_song: MakeSong,
    tmp_path: Path,
    guide: float | None,
    level: float,
) -> None:
    song = make_song(tmp_path / "song.wav")
    done = karaoke_file(splitter, song, guide=guide)
    assert done.path == tmp_path / "song (karaoke).wav"
    assert (done.source, done.guide, done.video, done.skipped) == (song, guide, False, False)
    mixture, _ = read_audio(song)
    np.testing.assert_allclose(read_audio(done.path)[0], level * mixture, atol=1.01 * LSB)


def test_options_of_the_public_function_reach_the_file(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, str]] = []

    def make(model: str, **options: str) -> StemSeparator:
        made.append({"model": model, **options})
        return splitter

    monkeypatch.setattr("unmix.songs.separator.Separator", make)
    song = make_song(tmp_path / "song.wav", seconds=0.1)
    done = karaoke(song, tmp_path, model="a", quality="fast", device="cpu", guide=-6, format="flac")
    assert made == [{"model": "a", "quality": "fast", "device": "cpu"}]
    assert (done.path, done.guide) == (tmp_path / "song (karaoke).flac", -6)
    assert karaoke(song, tmp_path, format="flac", existing="skip").skipped


@pytest.mark.parametrize("guide", [0.1, 12, float("inf"), float("nan")])
def test_a_guide_louder_than_the_song_is_refused(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, guide: float
) -> None:
    song = make_song(tmp_path / "song.wav")
    with pytest.raises(UnmixError, match="0 or less"):
        karaoke_file(splitter, song, guide=guide)


def test_a_model_without_vocals_is_refused(make_song: MakeSong, tmp_path: Path) -> None:
    class Drums:
        stems = ("drums", "residual")
        model_name = "drummer"

        def stream(self, blocks: object, sample_rate: int) -> object:
            raise AssertionError

    with pytest.raises(UnmixError, match="drummer separates drums, residual"):
        karaoke_file(Drums(), make_song(tmp_path / "song.wav"))  # type: ignore[arg-type]


def _alike(first: AudioInfo, second: AudioInfo) -> bool:
    return (first.container, first.codec, first.sample_rate, first.channels, first.bit_depth) == (
        second.container,
        second.codec,
        second.sample_rate,
        second.channels,
        second.bit_depth,
    )


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.mp3", "a.ogg", "a.opus", "a.m4a"])
def test_the_karaoke_version_is_like_the_song(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, name: str
) -> None:
    song = make_song(tmp_path / name, seconds=1.1, sample_rate=48000)
    done = karaoke_file(splitter, song, tmp_path / "out")
    assert done.path == tmp_path / "out" / f"a (karaoke){song.suffix}"
    assert _alike(probe(done.path), probe(song))
    assert read_audio(done.path)[0].shape == read_audio(song)[0].shape == (2, done.samples)
    assert done.warnings == ()


@pytest.mark.parametrize("bit_depth", [16, 24, 32])
def test_bit_depth_is_kept_or_chosen(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path, bit_depth: int
) -> None:
    song = make_song(tmp_path / "a.wav", bit_depth=bit_depth)
    assert probe(karaoke_file(splitter, song).path).bit_depth == bit_depth
    other = karaoke_file(splitter, song, bit_depth=24, existing="overwrite")
    assert probe(other.path).bit_depth == 24
    with pytest.raises(ConfigError, match="lossless"):
        karaoke_file(splitter, song, bitrate="192k", existing="overwrite")


@pytest.mark.slow
def test_real_songs_keep_tags_and_cover(
    splitter: StemSeparator, songs: list[Path], tmp_path: Path
) -> None:
    song = next(path for path in songs if "fantasma" in path.name)
    tags = read_tags(song)
    done = karaoke_file(splitter, song, tmp_path)
    assert done.path.name == "los-rombos_fantasma (karaoke).mp3"
    assert done.samples == read_audio(done.path)[0].shape[1] == read_audio(song)[0].shape[1]
    copied = read_tags(done.path)
    assert copied.title == "Fantasma (karaoke)"
    assert (copied.artist, copied.album, copied.date) == (tags.artist, tags.album, tags.date)
    assert copied.pictures == tags.pictures != ()


def test_existing_files_are_an_error_or_replaced_or_kept(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "song.wav")
    done = karaoke_file(splitter, song)
    done.path.write_text("mine")
    with pytest.raises(UnmixError, match="--skip-existing"):
        karaoke_file(splitter, song)
    kept = karaoke_file(splitter, song, existing="skip")
    assert (kept.skipped, kept.path, kept.samples) == (True, done.path, 0)
    assert done.path.read_text() == "mine"
    assert karaoke_file(splitter, song, existing="overwrite") == done
    assert done.path.read_bytes().startswith(b"RIFF")


def test_a_karaoke_version_that_would_clip_is_lowered(
    splitter: StemSeparator, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "hot.wav", peak=2.0, bit_depth=32)
    assert karaoke_file(splitter, song).gain == 1.0
    done = karaoke_file(splitter, song, format="flac")
    assert done.gain == pytest.approx(1 / 1.4, rel=1e-4)
    assert "hot.wav would clip" in done.warnings[0]


def _moments(path: Path) -> tuple[float, float]:
    """Return when a video's picture turns bright, and when its sound sets in."""
    with av.open(str(path)) as container:
        frames = container.decode(container.streams.video[0])
        bright = next(f.time for f in frames if f.to_ndarray(format="gray").mean() > 100)
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[0]):
            values = frame.to_ndarray()
            full_scale = 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
            loud = np.abs(values.astype(np.float32) / full_scale).max(0) > 0.05
            if loud.any():
                assert frame.time is not None
                return float(bright or 0), frame.time + int(loud.argmax()) / frame.sample_rate
    raise AssertionError("no sound")


def _packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.video[0])]


@pytest.mark.parametrize("sound_starts", [0.0, 0.5])
@pytest.mark.parametrize(
    ("name", "picture", "sound"),
    [
        ("a.mp4", "libx264", "aac"),
        ("a.m4v", "libx264", "aac"),
        ("a.mov", "libx264", "aac"),
        ("a.mkv", "libx264", "libopus"),
        ("a.webm", "libvpx", "libopus"),
    ],
)
def test_a_video_keeps_its_picture_in_step_with_its_sound(
    splitter: StemSeparator,
    make_video: MakeSong,
    tmp_path: Path,
    name: str,
    picture: str,
    sound: str,
    sound_starts: float,
) -> None:
    song = make_video(tmp_path / name, picture, sound, sound_starts=sound_starts)
    done = karaoke_file(splitter, song)
    assert (done.path, done.video) == (tmp_path / f"a (karaoke){song.suffix}", True)
    assert _packets(done.path) == _packets(song)
    bright, heard = _moments(done.path)
    was_bright, was_heard = _moments(song)
    assert bright == pytest.approx(was_bright, abs=1e-3)
    assert heard == pytest.approx(was_heard, abs=5e-3)
    with av.open(str(done.path)) as container:
        assert container.metadata["title"] == "Film (karaoke)"
        assert container.streams.audio[0].metadata["language"] == "fra"
        lower = {key.lower(): text for key, text in container.metadata.items()}
        assert lower["artist"] == "Band"
    if not sound_starts:
        assert read_audio(done.path)[0].shape == read_audio(song)[0].shape


def test_another_kind_of_video_gives_its_sound_with_a_warning(
    splitter: StemSeparator, make_video: MakeSong, tmp_path: Path
) -> None:
    song = make_video(tmp_path / "a.avi", "mpeg4", "libmp3lame")
    done = karaoke_file(splitter, song)
    assert (done.path, done.video) == (tmp_path / "a (karaoke).m4a", False)
    assert "a.avi: the picture is left out" in done.warnings[0]
    assert not has_picture(done.path)


@pytest.mark.parametrize("name", ["a.aif", "a.flac", "a.mp3", "a.avi", "a.mp4", "a.mkv"])
@pytest.mark.parametrize("form", [None, "ogg"])
def test_where_the_karaoke_version_goes_is_known_before(
    splitter: StemSeparator,
    make_song: MakeSong,
    make_video: MakeSong,
    tmp_path: Path,
    tree: Tree,
    name: str,
    form: str | None,
) -> None:
    song = tmp_path / name
    if song.suffix in (".avi", ".mp4", ".mkv"):
        make_video(song, "mpeg4", "libmp3lame" if name == "a.avi" else "aac")
    else:
        make_song(tmp_path / f"b{name.replace('aif', 'aiff')}").rename(song)
    before = tree(tmp_path)
    expected = plan_karaoke(song, tmp_path / "out", KaraokeOptions(format=form)).path
    assert tree(tmp_path) == before
    assert karaoke_file(splitter, song, tmp_path / "out", format=form).path == expected


def test_no_room_for_the_picture_is_one_sentence_and_leaves_nothing(
    splitter: StemSeparator,
    make_video: MakeSong,
    tmp_path: Path,
    tree: Tree,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    song = make_video(tmp_path / "a.mp4", "libx264", "aac")
    before = tree(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unmix.songs.karaoke.replace_sound", fail)
    with pytest.raises(AudioError) as caught:
        karaoke_file(splitter, song)
    target = tmp_path / "a (karaoke).mp4"
    assert str(caught.value) == f"{target}: cannot be written: No space left on device"
    assert tree(tmp_path) == before


def test_tags_on_the_loudness_of_a_video_stay_behind(
    splitter: StemSeparator, make_video: MakeSong, tmp_path: Path
) -> None:
    plain = make_video(tmp_path / "plain.mkv", "libx264", "libopus")
    song = tmp_path / "a.mkv"
    loudness = {"R128_TRACK_GAIN": "256", "iTunNORM": "0000", "REPLAYGAIN_TRACK_GAIN": "-6 dB"}
    with av.open(str(plain)) as video, av.open(str(song), "w") as made:
        made.metadata.update({**loudness, "artist": "Band"})
        copies = {}
        for stream in (*video.streams.video, *video.streams.audio):
            copies[stream] = made.add_stream_from_template(stream)
            copies[stream].metadata.update(loudness)
        for packet in video.demux():
            if packet.pts is not None:
                packet.stream = copies[packet.stream]
                made.mux(packet)
    with av.open(str(karaoke_file(splitter, song).path)) as container:
        said = [container.metadata, *(stream.metadata for stream in container.streams)]
    names = {name.lower() for metadata in said for name in metadata}
    assert "artist" in names
    assert not names & {name.lower() for name in loudness}


def test_a_format_asked_for_leaves_the_picture(
    splitter: StemSeparator, make_video: MakeSong, tmp_path: Path
) -> None:
    song = make_video(tmp_path / "a.mp4", "libx264", "aac")
    done = karaoke_file(splitter, song, format="mp3")
    assert (done.path, done.video, done.warnings) == (tmp_path / "a (karaoke).mp3", False, ())


def test_subtitles_stay_in_a_video(
    splitter: StemSeparator, make_video: MakeSong, tmp_path: Path
) -> None:
    """The words of a song are what a singer needs most."""
    plain = make_video(tmp_path / "plain.mkv", "libx264", "libopus")
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:01,000 --> 00:00:02,500\nla la la\n\n")
    song = tmp_path / "a.mkv"
    with (
        av.open(str(plain)) as video,
        av.open(str(words)) as text,
        av.open(str(song), "w") as made,
    ):
        inputs = [*video.streams.video, *video.streams.audio, *text.streams.subtitles]
        copies = [made.add_stream_from_template(stream) for stream in inputs]
        for source in (video, text):
            for packet in source.demux():
                if packet.pts is not None:
                    packet.stream = copies[inputs.index(packet.stream)]
                    made.mux(packet)
    done = karaoke_file(splitter, song)
    with av.open(str(done.path)) as container:
        packets = [bytes(p) for p in container.demux(container.streams.subtitles[0]) if p.size]
    assert packets == [b"la la la"]


def test_cover_art_is_not_a_moving_picture(songs: list[Path], tricky: Path) -> None:
    assert not any(has_picture(path) for path in songs)
    assert has_picture(tricky / "video.mp4")
    assert not has_picture(tricky / "text.mp3")


@pytest.mark.parametrize("name", ["a.wav", "a.mp4"])
def test_cancelling_leaves_nothing(
    splitter: StemSeparator,
    make_song: MakeSong,
    make_video: MakeSong,
    tmp_path: Path,
    tree: Tree,
    name: str,
) -> None:
    path = tmp_path / name
    song = make_song(path) if path.suffix == ".wav" else make_video(path, "libx264", "aac")
    before = tree(tmp_path)

    def cancel(fraction: float) -> None:
        if fraction == 1:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        karaoke_file(splitter, song, tmp_path / "new" / "folder", progress=cancel)
    assert tree(tmp_path) == before


def test_a_picture_that_cannot_be_copied_leaves_nothing(
    splitter: StemSeparator, make_video: MakeSong, tmp_path: Path, tree: Tree
) -> None:
    """A container that lies about itself: WebM does not take H.264."""
    song = make_video(tmp_path / "a.mkv", "libx264", "libopus").rename(tmp_path / "a.webm")
    before = tree(tmp_path)
    with pytest.raises(AudioError, match=r"a\.webm: its picture cannot be copied.*--format m4a"):
        karaoke_file(splitter, song)
    assert tree(tmp_path) == before


def test_strict_refuses_what_does_not_decode_whole(
    splitter: StemSeparator, tricky: Path, tmp_path: Path
) -> None:
    with pytest.raises(AudioError, match="cut short"):
        karaoke_file(splitter, tricky / "truncated.flac", tmp_path, strict=True)
    assert list(tmp_path.iterdir()) == []
    assert "cut short" in karaoke_file(splitter, tricky / "truncated.flac", tmp_path).warnings[0]
