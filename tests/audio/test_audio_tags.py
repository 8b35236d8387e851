from __future__ import annotations

import itertools

import av
import mutagen
import numpy as np
import pytest
from mutagen.flac import Picture as FlacPicture
from mutagen.id3 import APIC, COMM, RVA2, TXXX
from mutagen.mp4 import MP4FreeForm

from unmix.audio import FORMATS, Picture, Tags, copy_tags, probe, read_audio, read_tags
from unmix.audio import tags as tags_module
from unmix.audio import wav as wav_module
from unmix.audio.verification import check_written
from unmix.errors import AudioError

PNG = bytes.fromhex("89504e470d0a1a0a") + bytes(range(200))
FULL = Tags(
    fields={
        "title": ("Séculaire",),
        "artist": ("Wasaru", "Nÿme"),
        "album_artist": ("Various",),
        "album": ("Sadtimes",),
        "track": ("3/12",),
        "disc": ("1/2",),
        "date": ("2016",),
        "genre": ("chillout",),
        "composer": ("Wasaru",),
        "lyrics": ("first line\nsecond line",),
        "comment": ("recorded at home",),
        "copyright": ("CC BY-SA",),
    },
    pictures=(Picture(data=PNG, mime="image/png"),),
)


@pytest.fixture
def tagged(tmp_path, song, write):
    """Return a function that makes a short file with all tags in it."""

    def make(name, tags=FULL):
        path = tmp_path / f"song.{name}"
        write(path, song(5000))
        tags_module._write(path, tags)
        return path

    return make


@pytest.mark.parametrize(("source", "target"), list(itertools.product(FORMATS, FORMATS)))
def test_all_tags_travel_and_no_sample_changes(tmp_path, song, write, tagged, source, target):
    destination = tmp_path / f"stem.{target}"
    write(destination, song(30000))
    before = read_audio(destination)[0]
    assert copy_tags(tagged(source), destination, stem_title="vocals") == []
    found = read_tags(destination)
    assert found.fields == {**FULL.fields, "title": ("Séculaire (vocals)",)}
    assert [(art.data, art.mime) for art in found.pictures] == [(PNG, "image/png")]
    assert np.array_equal(read_audio(destination)[0], before)
    assert probe(destination).length == before.shape[1]


@pytest.mark.parametrize("name", FORMATS)
def test_real_songs_keep_their_covers(tmp_path, songs, song, write, name):
    for path in songs:
        destination = tmp_path / f"stem.{name}"
        write(destination, song(3000))
        assert copy_tags(path, destination, stem_title=None) == []
        assert read_tags(destination) == read_tags(path)


def test_properties():
    assert (FULL.title, FULL.artist, FULL.album_artist) == ("Séculaire", "Wasaru, Nÿme", "Various")
    assert (FULL.track, FULL.disc, FULL.year, FULL.date) == (3, 1, 2016, "2016")
    assert (FULL.album, FULL.genre) == ("Sadtimes", "chillout")
    empty = Tags()
    assert (empty.title, empty.track, empty.year) == (None, None, None)


def test_a_song_without_a_title_is_called_by_its_name(tmp_path, song, write):
    source, destination = tmp_path / "My Song.wav", tmp_path / "out.flac"
    write(source, song(100))
    write(destination, song(100))
    assert copy_tags(source, destination, stem_title="accompaniment") == []
    assert read_tags(destination).title == "My Song (accompaniment)"
    assert read_tags(source) == Tags()


def add_loudness(path):
    """Put every kind of loudness tag into a file."""
    file = mutagen.File(path)
    if path.suffix in (".mp3", ".wav", ".aiff"):
        file.tags.add(TXXX(encoding=3, desc="replaygain_track_gain", text=["-6 dB"]))
        file.tags.add(RVA2(desc="track", channel=1, gain=-6.0, peak=1.0))
        file.tags.add(COMM(encoding=3, lang="eng", desc="iTunNORM", text=["0000 0001"]))
    elif path.suffix == ".m4a":
        file["----:com.apple.iTunes:replaygain_track_gain"] = [MP4FreeForm(b"-6 dB")]
        file["----:com.apple.iTunes:iTunNORM"] = [MP4FreeForm(b"0000 0001")]
    else:
        file["replaygain_track_gain"] = ["-6 dB"]
        file["r128_track_gain"] = ["256"]
    file.save()


@pytest.mark.parametrize(
    ("source", "target"), list(itertools.product(FORMATS, ("mp3", "flac", "m4a")))
)
def test_loudness_never_travels(tmp_path, song, write, tagged, source, target):
    path = tagged(source)
    add_loudness(path)
    destination = tmp_path / f"stem.{target}"
    write(destination, song(3000))
    copy_tags(path, destination, stem_title="vocals")
    text = str(mutagen.File(destination).tags.pprint()).lower()
    assert not any(word in text for word in ("replaygain", "r128", "rva2", "itunnorm"))
    assert read_tags(destination).text("comment") == "recorded at home"


def test_damaged_tags_are_a_sentence_and_no_failure(tmp_path, song, write, tagged, monkeypatch):
    path = tagged("ogg")
    file = mutagen.File(path)
    file["metadata_block_picture"] = ["this is no picture", *file["metadata_block_picture"]]
    file.save()
    destination = tmp_path / "stem.flac"
    write(destination, song(3000))
    (warning,) = copy_tags(path, destination, stem_title="vocals")
    assert warning.startswith("the tags of song.ogg are damaged")
    assert read_tags(destination).title == "Séculaire (vocals)"
    assert read_tags(destination).pictures == FULL.pictures


def test_a_file_without_room_for_tags_is_a_sentence(tmp_path, tagged):
    destination = tmp_path / "stem.txt"
    destination.write_text("no sound")
    (warning,) = copy_tags(tagged("mp3"), destination, stem_title="vocals")
    assert "could not be written" in warning
    assert destination.read_text() == "no sound"


def test_fields_that_are_left_out_are_named(tmp_path, song, write, tagged):
    odd = Tags(
        fields={"track": ("A1",), "title": ("Song",)},
        pictures=(Picture(data=b"GIF89a", mime="image/gif"),),
    )
    destination = tmp_path / "stem.m4a"
    write(destination, song(3000))
    warnings = copy_tags(tagged("flac", odd), destination, stem_title=None)
    assert len(warnings) == 2
    assert "were copied without the track 'A1'" in warnings[0]
    assert "image/gif" in warnings[1]


@pytest.mark.parametrize(("ending", "codec"), [("wma", "wmav2"), ("mkv", "aac")])
def test_tags_of_formats_that_are_only_read(tmp_path, song, write, ending, codec):
    path = tmp_path / f"song.{ending}"
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=44100, layout="stereo")
        stream.bit_rate = 128_000
        container.metadata.update(title="Song", artist="Singer", album="Album")
        for start in range(0, 20480, 2048):
            block = np.ascontiguousarray(song(20480)[:, start : start + 2048])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 44100, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    destination = tmp_path / "stem.m4a"
    write(destination, song(3000))
    assert copy_tags(path, destination, stem_title="vocals") == []
    found = read_tags(destination)
    assert (found.title, found.artist, found.album) == ("Song (vocals)", "Singer", "Album")
    samples, rate = read_audio(path)
    assert rate == 44100
    assert abs(samples.shape[1] - 20480) <= 4096


def test_a_container_that_mutagen_takes_for_another_is_not_damaged(
    tmp_path, song, write, make_video
):
    path = make_video(tmp_path / "film.avi", "mpeg4", "libmp3lame")
    misnamed = make_video(tmp_path / "film.mkv", "mpeg4", "aac").rename(tmp_path / "film.mp3")
    destination = tmp_path / "stem.flac"
    write(destination, song(3000))
    for strange in (path, misnamed):
        assert copy_tags(strange, destination, stem_title="vocals") == []
        assert read_tags(destination).title == "Film (vocals)"


def test_totals_of_vorbis_comments(tmp_path, song, write):
    path = tmp_path / "song.flac"
    write(path, song(100))
    file = mutagen.File(path)
    file["tracknumber"], file["totaltracks"], file["albumartist"] = ["7"], ["9"], ["All"]
    picture = FlacPicture()
    picture.data, picture.mime, picture.type, picture.desc = PNG, "image/png", 4, "back"
    file.add_picture(picture)
    file.save()
    found = read_tags(path)
    assert found.text("track") == "7/9"
    assert found.track == 7
    assert found.pictures == (Picture(data=PNG, mime="image/png", kind=4, description="back"),)


def test_missing_files_have_no_tags(tmp_path):
    assert read_tags(tmp_path / "missing.mp3") == Tags()


@pytest.mark.parametrize("size", [1 << 20, 1 << 24])
@pytest.mark.parametrize("target", FORMATS)
def test_a_cover_that_is_too_large_is_named_and_the_rest_stays(
    tmp_path, song, write, tagged, size, target
):
    """FLAC's blocks, which Vorbis comments use too, hold less than 16 MiB."""
    source = tagged("mp3")
    file = mutagen.File(source)
    file.tags.add(APIC(encoding=3, mime="image/png", type=4, desc="back", data=bytes(size)))
    file.save()
    destination = tmp_path / f"stem.{target}"
    write(destination, song(5000))
    said = copy_tags(source, destination, stem_title="vocals")
    found = read_tags(destination)
    assert found.fields == {**FULL.fields, "title": ("Séculaire (vocals)",)}
    left_out = target in ("flac", "ogg", "opus") and size == 1 << 24
    assert sorted(len(art.data) for art in found.pictures) == [len(PNG), *([size] * (not left_out))]
    sentence = "the tags of song.mp3 were copied without a picture of 16,777,216 bytes (image/png)"
    assert said == [sentence] * left_out
    assert probe(destination).length == read_audio(destination)[0].shape[1]


def test_a_text_that_is_too_long_is_named_and_the_rest_stays(tmp_path, song, write, tagged):
    tags = Tags(fields={**FULL.fields, "comment": ("x" * (1 << 24),)}, pictures=FULL.pictures)
    destination = tmp_path / "stem.flac"
    write(destination, song(5000))
    said = copy_tags(tagged("mp3", tags), destination, stem_title=None)
    assert said == ["the tags of song.mp3 were copied without the comment of 16,777,216 characters"]
    found = read_tags(destination)
    assert found.fields == {name: FULL.fields[name] for name in FULL.fields if name != "comment"}
    assert [art.data for art in found.pictures] == [PNG]


@pytest.mark.parametrize("kind", ["wav", "aiff", "flac", "ogg"])
def test_a_tag_in_front_of_another_format_is_read_without_a_word(
    tmp_path, song, write, tagged, kind
):
    """Half of the first kilobytes of an MP3 is its tag: put it before a file without one."""
    mp3 = tagged("mp3").read_bytes()
    end = 10 + sum(byte << shift for byte, shift in zip(mp3[6:10], (21, 14, 7, 0), strict=True))
    write(tmp_path / f"plain.{kind}", song(5000))
    source = tmp_path / f"song.{kind}"
    source.write_bytes(mp3[:end] + (tmp_path / f"plain.{kind}").read_bytes())
    destination = tmp_path / "stem.flac"
    write(destination, song(5000))
    assert copy_tags(source, destination, stem_title=None) == []
    assert read_tags(destination) == FULL


ODD = {
    "no date": Tags(fields={"date": ("sometime in 1999",)}),
    "no text": Tags(fields={"artist": ("half a \ud83c sign",)}),
    "no number": Tags(fields={"track": ("9" * 5000,), "disc": ("B/2",)}),
    "controls": Tags(fields={"artist": ("a\x01\x1b[31m\x7f\r\nb",), "comment": ("\ufffe\u202e",)}),
    "no type": Tags(pictures=(Picture(data=PNG + b"1", mime=""),)),
    "odd type": Tags(pictures=(Picture(data=b"GIF89a", mime="gïf/\0"),)),
    "odd kind": Tags(pictures=(Picture(data=PNG + b"1", mime="image/png", kind=1 << 40),)),
    "odd words": Tags(pictures=(Picture(data=PNG + b"1", description="a\0\ud800b"),)),
    "empty": Tags(fields={"album": ("", " ")}, pictures=(Picture(data=b""),)),
    "many": Tags(pictures=tuple(Picture(data=PNG + bytes([kind]), kind=kind) for kind in range(9))),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("target", FORMATS)
def test_what_is_lost_is_named_and_the_rest_stays(tmp_path, song, write, monkeypatch, target, odd):
    plain = Tags(fields={"title": ("Song",), "genre": ("Pop",)}, pictures=FULL.pictures)
    both = Tags(fields={**plain.fields, **odd.fields}, pictures=(*plain.pictures, *odd.pictures))
    destination = tmp_path / f"stem.{target}"
    write(destination, song(3000))
    before = read_audio(destination)[0]
    read = tags_module._read
    monkeypatch.setattr(tags_module, "_read", lambda *_: both)
    said = copy_tags(tmp_path / "song.wav", destination, stem_title=None)
    found = read(destination, [])
    for name, texts in plain.fields.items():
        assert found.fields[name] == texts
    covers = {art.data for art in found.pictures}
    assert PNG in covers
    lost = [name for name in odd.fields if "".join(odd.fields[name]).strip()]
    lost = [f"the {name} " for name in lost if name not in found.fields]
    lost += [f"{len(art.data)} bytes" for art in odd.pictures if art.data not in covers]
    assert len(said) == len(lost)
    assert all(what in sentence for what, sentence in zip(lost, said, strict=True))
    assert all(sentence.isprintable() for sentence in said)
    assert np.array_equal(read_audio(destination)[0], before)
    check_written(destination, length=before.shape[1], sample_rate=probe(destination).sample_rate)


def test_covers_without_a_description_all_stay(tmp_path, song, write, tagged):
    """ID3 allows each description once: the front was lost where there was a back."""
    back = Picture(data=PNG + b"back", mime="image/png", kind=4)
    source = tagged("flac", Tags(fields={}, pictures=(*FULL.pictures, back)))
    destination = tmp_path / "stem.mp3"
    write(destination, song(3000))
    assert copy_tags(source, destination, stem_title="vocals") == []
    assert read_tags(destination).pictures == (*FULL.pictures, back)


def test_tags_that_cannot_be_read_back_are_an_error(tmp_path, song, write, tagged, monkeypatch):
    source = tagged("mp3")
    destination = tmp_path / "stem.flac"
    write(destination, song(3000))

    def spoil(path, tags):
        path.write_bytes(b"fLaC")

    monkeypatch.setattr(tags_module, "_write_what_fits", spoil)
    with pytest.raises(AudioError, match=r"stem\.flac cannot be tagged.*check the disk"):
        copy_tags(source, destination, stem_title="vocals")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", ["plain", "id3 in front", "other name"])
def test_tags_of_files_in_order_are_no_false_alarm(
    tmp_path, song, write, tagged, monkeypatch, name, kind
):
    path = tagged(name)
    if kind == "id3 in front":
        tags = mutagen.id3.ID3()
        tags.add(mutagen.id3.TIT2(encoding=3, text=["Séculaire"]))
        tags.save(tmp_path / "id3")
        path.write_bytes((tmp_path / "id3").read_bytes() + path.read_bytes())
    elif kind == "other name":
        path = path.rename(tmp_path / ("song.flac" if name == "mp3" else "song.mp3"))
    destination = tmp_path / "stem.flac"
    write(destination, song(3000))
    assert copy_tags(path, destination, stem_title="vocals") == []
    assert read_tags(destination).title == "Séculaire (vocals)"


def test_a_wav_beyond_four_gibibytes_has_no_damaged_tags(tmp_path, song, write, monkeypatch):
    monkeypatch.setattr(wav_module, "RIFF_LIMIT", 1000)
    write(tmp_path / "song.wav", song(3000))
    write(tmp_path / "stem.flac", song(3000))
    assert (tmp_path / "song.wav").read_bytes()[:4] == b"RF64"
    assert copy_tags(tmp_path / "song.wav", tmp_path / "stem.flac", stem_title="vocals") == []
    assert read_tags(tmp_path / "stem.flac").title == "song (vocals)"
