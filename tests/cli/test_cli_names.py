"""Odd names, and folders that somebody has prepared: results or a sentence, never harm."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from unmix.cli import app
from unmix.cli._console import visible
from unmix.errors import UnmixError
from unmix.songs.naming import check_template, fill
from unmix.storage import outputs_to_write

FAST = ["-q", "fast", "-m", "tfc-tdf-tiny"]


@pytest.fixture
def song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).normal(0, 0.1, (4000, 1))
    soundfile.write("song.wav", noise, 8000)
    return tmp_path / "song.wav"


def test_names_do_not_command_the_terminal() -> None:
    assert visible("\x1b[31mred\x07 \x9b2J \u202egnp.exe") == (
        r"\x1b[31mred\x07 \x9b2J \u202egnp.exe"
    )
    assert visible("日本 é [a-z]* 🎵\tx") == "日本 é [a-z]* 🎵\tx"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize(
    "name", [b"a\xff", b"a\nb", b"x" * 251, b"CON", b"-rf", b"~", b"[a]*", b"\x1b[31mr", b"dots.. "]
)
def test_every_name_gives_results(song: Path, name: bytes) -> None:
    odd = os.fsdecode(name + b".wav")
    song.rename(odd)
    done = CliRunner().invoke(app, ["karaoke", f"./{odd}", *FAST, "-o", "out", "--json"])
    assert done.exit_code == 0, done.stderr
    assert "warning" not in done.stderr
    assert "\x1b[31m" not in done.stderr
    assert len(list(Path("out").iterdir())) == 1


@pytest.mark.parametrize(
    "value",
    [
        "..",
        "../../x",
        "/etc/x",
        "C:\\x",
        "..\\..\\x",
        "\0",
        ".",
        "~/x",
        "a/../../b",
        "\u2024\u2024/",
    ],
)
@pytest.mark.parametrize("template", ["{artist}/{title}.{ext}", "{artist}{title}", "x{artist}"])
def test_no_tag_leads_out_of_the_folder(value: str, template: str) -> None:
    check_template(template)
    path = fill(template, {"artist": value, "title": value, "ext": "wav"})
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert "\0" not in str(path)
    assert len(path.parts) == len(Path(template).parts)


@pytest.mark.parametrize("template", ["../{name}", "/tmp/{name}", "a/../{name}", "a\\..\\{name}"])
def test_no_template_leads_out_of_the_folder(template: str) -> None:
    with pytest.raises(UnmixError, match="inside the output folder"):
        check_template(template)


def test_no_link_leads_out_of_the_folder(song: Path) -> None:
    outside = song.parent / "outside"
    outside.mkdir()
    (outside / "precious.wav").write_text("precious")
    out = song.parent / "out"
    out.mkdir()
    (out / "song").symlink_to(outside)
    done = CliRunner().invoke(app, ["separate", "song.wav", *FAST, "-o", "out", "--overwrite"])
    assert done.exit_code == 1
    assert "a link leads out of out" in done.stderr
    assert [path.name for path in outside.iterdir()] == ["precious.wav"]
    (out / "song").unlink()
    (out / "song").mkdir()
    (out / "song" / "vocals.wav").symlink_to(outside / "precious.wav")
    done = CliRunner().invoke(app, ["separate", "song.wav", *FAST, "-o", "out", "--overwrite"])
    assert done.exit_code == 0, done.stderr
    assert (outside / "precious.wav").read_text() == "precious"
    assert not (out / "song" / "vocals.wav").is_symlink()


def test_a_folder_that_is_a_link_itself_or_has_links_inside_is_fine(tmp_path: Path) -> None:
    (tmp_path / "disk" / "b").mkdir(parents=True)
    (tmp_path / "out").symlink_to("disk")
    (tmp_path / "disk" / "a").symlink_to("b")
    song = tmp_path / "song.wav"
    song.touch()
    outputs = {"vocals": tmp_path / "out" / "a" / "vocals.wav"}
    assert outputs_to_write(song, outputs, "error", root=tmp_path / "out") == outputs
    (tmp_path / "out" / "b" / "vocals.wav").symlink_to("nowhere")
    with pytest.raises(UnmixError, match="a link to nothing"):
        outputs_to_write(song, outputs, "error", root=tmp_path / "out")


def test_no_song_of_a_run_is_replaced(song: Path) -> None:
    """Neither by its own result nor by that of another song."""
    second = song.with_name("song (karaoke).wav")
    second.write_bytes(song.read_bytes())
    words = ["karaoke", song.name, second.name, *FAST, "--overwrite"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "is a song of this run itself" in done.stderr
    assert second.read_bytes() == song.read_bytes()
    words = ["separate", "song.wav", *FAST, "-o", ".", "-t", "{name}", "-s", "vocals"]
    done = CliRunner().invoke(app, [*words, "--overwrite"])
    assert done.exit_code == 1
    assert "the song itself" in done.stderr
