"""Names of stems: safe on every system, whatever the tags and the template say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmix.errors import UnmixError
from unmix.songs.naming import DEFAULT_TEMPLATE, FIELDS, beside, check_template, fill, safe_part

WINDOWS_FORBIDS = set('<>:"/\\|?*') | {chr(code) for code in range(32)}
anything = st.text(st.characters(codec=None), max_size=300)


def test_default_template_names_a_folder_for_the_song() -> None:
    check_template(DEFAULT_TEMPLATE)
    values = {"name": "My song", "stem": "vocals", "ext": "flac"}
    assert fill(DEFAULT_TEMPLATE, values) == Path("My song", "vocals.flac")


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), anything))
def test_values_never_leave_their_part(values: dict[str, str]) -> None:
    values["ext"] = "wav"
    template = "{artist} - {album}/{track} {title} {name}/{stem} {model}.{ext}"
    if len(values.get("stem", "") + values.get("model", "") + values.get("track", "")) > 40:
        return
    path = fill(template, values)
    assert len(path.parts) == 3
    assert not path.is_absolute()
    for part in path.parts:
        assert not WINDOWS_FORBIDS & set(part)
        assert not part.startswith((".", " "))
        assert not part.endswith((".", " "))
        assert 0 < len(part.encode("utf-8", "surrogatepass")) <= 200


@given(anything)
def test_a_safe_part_is_one_part_and_stays_what_it_is(text: str) -> None:
    part = safe_part(text)
    assert part
    assert len(Path(part).parts) == 1
    assert safe_part(part) == part


@pytest.mark.parametrize("name", ["CON", "nul", "com1", "LPT9.txt", "aux .mp3", "COM¹"])
def test_reserved_names_of_windows_are_mended(name: str) -> None:
    assert safe_part(name) == f"_{name}"


@pytest.mark.parametrize(
    ("artist", "folder"),
    [
        ("AC/DC", "AC_DC"),
        ("...And You Will Know Us", "And You Will Know Us"),
        ("Godspeed You!", "Godspeed You!"),
        ("../../etc", "_.._etc"),
        ("  ", "Unknown artist"),
        (None, "Unknown artist"),
        ("Nÿme", "Nÿme"),
    ],
)
def test_tags_as_folders(artist: str | None, folder: str) -> None:
    assert fill("{artist}/{stem}", {"artist": artist, "stem": "vocals"}).parts[0] == folder


def test_long_values_shrink_and_the_stem_stays() -> None:
    values = {"artist": "日本" * 100, "title": "é" * 400, "stem": "accompaniment", "ext": "wav"}
    path = fill("{artist} - {title} ({stem}).{ext}", values)
    assert path.name.endswith(" (accompaniment).wav")
    assert path.name.startswith("日本")
    assert 100 < len(path.name.encode()) <= 200


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{name} ({stem})", "song (vocals).wav"),
        ("{name}/Vol. 2 {stem}", "song/Vol. 2 vocals.wav"),
        ("{stem}.{ext}", "vocals.wav"),
        ("{stem}.WAV", "vocals.WAV"),
        ("{name}\\{stem}", "song/vocals.wav"),
        ("{name}//{stem}", "song/vocals.wav"),
        ("{{{stem}}}", "{vocals}.wav"),
    ],
)
def test_the_ending_is_there_once(template: str, path: str) -> None:
    check_template(template)
    assert fill(template, {"name": "song", "stem": "vocals", "ext": "wav"}) == Path(path)


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{singer}/{stem}", r"unknown field \{singer\}; choose from \{name\}, \{artist\}"),
        ("{}/{stem}", r"unknown field \{\}"),
        ("{name.parent}", "unknown field"),
        ("{name[0]}", "unknown field"),
        ("{track:02}", "without a format"),
        ("{name!r}", "without a format"),
        ("{name", "expected '}'"),
        ("name}", "Single '}'"),
        ("/tmp/{stem}", "inside the output folder"),
        ("../{stem}", "inside the output folder"),
        ("a/../../{stem}", "inside the output folder"),
        ("", "inside the output folder"),
        ("{name}/", "ends in a folder"),
    ],
)
def test_wrong_templates_are_refused(template: str, sentence: str) -> None:
    with pytest.raises(UnmixError, match=sentence):
        check_template(template)


def test_a_template_that_is_too_long_itself_is_refused() -> None:
    with pytest.raises(UnmixError, match="longer than 200 bytes"):
        fill("x" * 300, {})


def test_beside_keeps_the_songs_own_name() -> None:
    song = Path("music") / "What? 1.5.MP3"
    assert beside(song, "karaoke", ".mp3") == Path("music") / "What? 1.5 (karaoke).mp3"
    assert beside(song, "karaoke", "wav", Path("out")) == Path("out") / "What? 1.5 (karaoke).wav"
    longest = beside(Path("ÿ" * 127 + ".m"), "karaoke", "flac").name
    assert longest.endswith("ÿ (karaoke).flac")
    assert len(longest.encode()) <= 200
