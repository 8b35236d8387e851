"""What of a song is not read, or not written, is said: streams, chapters, holes, missing ends."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

import unmix
from unmix.audio import open_audio, probe, read_audio
from unmix.errors import AudioError, AudioWarning
from unmix.songs.karaoke import KaraokeOptions, plan_karaoke, write_karaoke
from unmix.songs.render import StemSeparator
from unmix.songs.separate import StemOptions, plan_stems, write_stems

RATE, LENGTH = 48000, 48000
PITCHES = (440, 1000)


def write_film(path: Path, *, pitches: tuple[int, ...] = PITCHES, chapters: int = 0) -> Path:
    """Write a film of 1 s with a sound track for each pitch; the second starts half a second in."""
    with av.open(str(path), "w") as film:
        video = film.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        tracks = [film.add_stream("aac", rate=RATE, layout="stereo") for _ in pitches]
        if chapters:
            film.set_chapters(
                [
                    {
                        "id": number,
                        "start": number * 100,
                        "end": number * 100 + 100,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": f"Chapter {number}"},
                    }
                    for number in range(chapters)
                ]
            )
        for index in range(25):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 9 * index, np.uint8))
            picture.pts, picture.time_base = index, Fraction(1, 25)
            film.mux(video.encode(picture))
        for index, (track, pitch) in enumerate(zip(tracks, pitches, strict=True)):
            late = index * RATE // 2
            time = np.arange(LENGTH - late) / RATE
            samples = np.tile(0.3 * np.sin(2 * np.pi * pitch * time), (2, 1)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, late
            film.mux(track.encode(frame))
        for stream in (video, *tracks):
            film.mux(stream.encode(None))
    return path


def pitch(path: Path) -> float:
    samples = read_audio(path)[0][0]
    return float(np.abs(np.fft.rfft(samples)).argmax() * RATE / samples.size)


def onset(path: Path, stream: int) -> float:
    """Return the time in seconds, on the film's clock, of the first loud sample."""
    with av.open(str(path)) as film:
        for frame in film.decode(film.streams.audio[stream]):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.05)
            if loud.size:
                return float(frame.pts * frame.time_base) + float(loud[0]) / RATE
    raise AssertionError("silence")


def test_other_streams_are_named_and_can_be_chosen(tmp_path: Path, splitter: StemSeparator) -> None:
    film = write_film(tmp_path / "film.mkv")
    sentence = (
        "film.mkv has 2 audio streams: stream 0 was taken; "
        "--audio-stream N (audio_stream=N in Python) chooses another"
    )
    for stream in (None, 0, 1):
        options = StemOptions(audio_stream=stream, existing="overwrite")
        done = write_stems(splitter, plan_stems(splitter, film, tmp_path / "out", options))
        assert (sentence in done.warnings) == (stream is None)
        assert not done.shortfalls
        assert abs(pitch(done.stems["vocals"]) - PITCHES[stream or 0]) < 15
    with pytest.raises(AudioError, match="numbered from 0: there is no 2"):
        plan_karaoke(film, tmp_path, KaraokeOptions(audio_stream=2))


def test_one_stream_is_no_news(tmp_path: Path) -> None:
    with open_audio(write_film(tmp_path / "film.mp4", pitches=(440,))) as reader:
        assert reader.info.streams == 1
        assert not reader.warnings
    with pytest.raises(AudioError, match="has 1 audio stream, numbered"):
        open_audio(tmp_path / "film.mp4", stream=1)


@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov"])
def test_karaoke_of_the_second_stream_starts_where_it_does(
    tmp_path: Path, splitter: StemSeparator, ending: str
) -> None:
    film = write_film(tmp_path / f"film.{ending}")
    plan = plan_karaoke(film, tmp_path / "out", KaraokeOptions(audio_stream=1))
    done = write_karaoke(splitter, plan)
    assert abs(pitch(done.path) - PITCHES[1]) < 15
    assert abs(onset(done.path, 0) - onset(film, 1)) < 0.003


def test_chapters_stay_in_a_video_and_are_missed_elsewhere(
    tmp_path: Path, splitter: StemSeparator
) -> None:
    film = write_film(tmp_path / "film.mkv", pitches=(440,), chapters=3)
    done = write_karaoke(splitter, plan_karaoke(film, None, KaraokeOptions()))
    assert not done.warnings
    assert probe(done.path).chapters == 3
    separated = write_stems(splitter, plan_stems(splitter, film, tmp_path / "out", StemOptions()))
    assert separated.warnings == ("film.mkv: its 3 chapters are left out",)


def test_half_a_song_is_a_warning_of_every_function(tmp_path: Path) -> None:
    path = tmp_path / "half.flac"
    noise = np.random.default_rng(0).normal(0, 0.1, (LENGTH, 2))
    soundfile.write(path, noise, RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    words = r"half.flac is cut short or damaged: decoded 0\.\d s of 1.0 s"
    separator = unmix.Separator("tfc-tdf-tiny", device="cpu", quality="fast")
    with pytest.warns(AudioWarning, match=words):
        unmix.separate(path, model="tfc-tdf-tiny", device="cpu", quality="fast")
    with pytest.warns(AudioWarning, match=words) as caught:
        done = separator.separate_file(path, tmp_path / "out")
    assert [warning.filename for warning in caught] == [__file__]
    assert done.shortfalls == done.warnings[:1]
    with pytest.raises(AudioError, match=words):
        separator.separate_file(path, tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()
