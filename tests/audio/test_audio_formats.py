from __future__ import annotations

import pytest

from unmix.audio import FORMATS, AudioInfo, OutputFormat, format_like, parse_bitrate
from unmix.errors import AudioError, ConfigError


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_usual_values(name):
    output = OutputFormat.parse(f".{name.upper()}")
    assert output.name == name
    assert output.extension == f".{name}"
    assert (output.bit_depth is None) == output.lossy == (output.bitrate is not None)
    assert not output.is_float


@pytest.mark.parametrize(
    ("name", "choices", "words"),
    [
        ("wma", {}, "choose from wav, flac, aiff, mp3, ogg, opus, m4a"),
        ("flac", {"bit_depth": 32}, "choose from 16, 24; 32-bit float needs wav"),
        ("wav", {"bit_depth": 20}, "choose from 16, 24, 32"),
        ("mp3", {"bit_depth": 16}, "mp3 has no bit depth"),
        ("wav", {"bitrate": "320k"}, "wav is lossless"),
        ("mp3", {"bitrate": 200_000}, "choose from 64k, 80k"),
        ("opus", {"bitrate": "900k"}, "choose from 12k to 510k"),
        ("m4a", {"bitrate": "fast"}, "unknown bit rate 'fast'"),
    ],
)
def test_wrong_choices_name_the_right_ones(name, choices, words):
    with pytest.raises(ConfigError, match=words):
        OutputFormat.parse(name, **choices)


@pytest.mark.parametrize(
    ("text", "value"),
    [("320k", 320_000), ("192kbps", 192_000), ("128", 128_000), ("256000", 256_000), ("0.5K", 500)],
)
def test_bitrates_are_read_as_people_write_them(text, value):
    assert parse_bitrate(text) == value


@pytest.mark.parametrize("text", ["", "k", "-1k", "0", "320 apples", "nan"])
def test_nonsense_is_not_a_bitrate(text):
    with pytest.raises(ConfigError, match="unknown bit rate"):
        parse_bitrate(text)


@pytest.mark.parametrize(
    ("name", "rate", "written"),
    [
        ("wav", 37800, 37800),
        ("flac", 192000, 192000),
        ("opus", 44100, 48000),
        ("opus", 16000, 16000),
        ("opus", 96000, 48000),
        ("opus", 22050, 24000),
        ("mp3", 44100, 44100),
        ("mp3", 96000, 48000),
        ("mp3", 88200, 44100),
        ("m4a", 176400, 44100),
        ("m4a", 192000, 48000),
        ("mp3", 37800, 44100),
    ],
)
def test_rates_that_a_format_does_not_know(name, rate, written):
    assert OutputFormat.parse(name).sample_rate_for(rate) == written


def test_low_rates_of_mp3_have_lower_bitrates():
    output = OutputFormat.parse("mp3")
    rates = [output.bitrate_for(rate) for rate in (44100, 22050, 11025)]
    assert rates == [320_000, 160_000, 64_000]


@pytest.mark.parametrize(
    ("name", "channels", "remedy"),
    [("mp3", 6, "use flac or wav"), ("m4a", 8, "use flac or wav"), ("flac", 9, "use wav")],
)
def test_too_many_channels_name_a_remedy(name, channels, remedy):
    with pytest.raises(AudioError, match=remedy):
        OutputFormat.parse(name).check(channels, 44100)


def info(container, codec, *, lossy, bit_depth=None, bitrate=None):
    return AudioInfo(
        sample_rate=44100,
        channels=2,
        length=1,
        container=container,
        codec=codec,
        lossy=lossy,
        bit_depth=bit_depth,
        bitrate=bitrate,
    )


@pytest.mark.parametrize(
    ("song", "expected"),
    [
        (info("mp3", "mp3", lossy=True, bitrate=192_000), ("mp3", None, 192_000)),
        (info("mp3", "mp3", lossy=True, bitrate=186_542), ("mp3", None, 192_000)),
        (info("mp3", "mp3", lossy=True, bitrate=64_000), ("mp3", None, 128_000)),
        (info("mp3", "mp3", lossy=True), ("mp3", None, 320_000)),
        (info("wav", "float", lossy=False, bit_depth=32), ("wav", 32, None)),
        (info("wav", "pcm_24", lossy=False, bit_depth=24), ("wav", 24, None)),
        (info("flac", "pcm_16", lossy=False, bit_depth=16), ("flac", 16, None)),
        (info("flac", "pcm_24", lossy=False, bit_depth=24), ("flac", 24, None)),
        (info("aiff", "pcm_16", lossy=False, bit_depth=16), ("aiff", 16, None)),
        (info("aiff", "float", lossy=False, bit_depth=32), ("flac", 24, None)),
        (info("ogg", "vorbis", lossy=True, bitrate=160_000), ("ogg", None, 160_000)),
        (info("ogg", "opus", lossy=True, bitrate=160_000), ("opus", None, 160_000)),
        (info("mp4", "aac", lossy=True, bitrate=256_000), ("m4a", None, 256_000)),
        (info("mp4", "alac", lossy=False, bit_depth=24), ("flac", 24, None)),
        (info("asf", "wmav2", lossy=True, bitrate=192_000), ("m4a", None, 192_000)),
        (info("webm", "opus", lossy=True, bitrate=96_000), ("m4a", None, 128_000)),
        (info("webm", "flac", lossy=False, bit_depth=16), ("flac", 16, None)),
    ],
)
def test_a_song_keeps_its_format(song, expected):
    output = format_like(song, f"song.{song.container}")
    assert (output.name, output.bit_depth, output.bitrate) == expected
    assert OutputFormat.parse(output.name, output.bit_depth, output.bitrate) == output


def test_a_sample_rate_that_ends_the_process_is_refused():
    """libvorbis does that at 384 kHz."""
    OutputFormat.parse("ogg").check(2, 192_000)
    with pytest.raises(AudioError, match="ogg holds up to 200000 Hz, not 384000: use wav"):
        OutputFormat.parse("ogg").check(2, 384_000)
