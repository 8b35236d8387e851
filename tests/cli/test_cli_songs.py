"""``separate``, ``karaoke``, ``plot``: many songs, each done, skipped or failed, and a report."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from unmix.audio import probe

Unmix = Callable[..., Any]
MakeSong = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes | None]]

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def folder(tmp_path: Path, make_song: MakeSong, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with songs at its top and below, and other files."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.flac", "disc 1/c.WAV", "disc 1/bonus/d.wav", ".hidden/e.wav"):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made = make_song(path.with_suffix(path.suffix.lower()), seconds=0.2)
        made.rename(path)
    (tmp_path / "music" / "notes.txt").write_text("no song")
    (tmp_path / "music" / ".a.wav").write_text("no song")
    return tmp_path


def _stems(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_one_song(unmix: Unmix, folder: Path, quick: list[dict[str, object]]) -> None:
    outcome = unmix("separate", "music/a.wav")
    assert outcome.code == 0
    paths = [Path("separated/a/vocals.wav"), Path("separated/a/accompaniment.wav")]
    assert outcome.out.splitlines() == list(map(str, paths))
    assert all(path.is_file() for path in paths)
    # Standard error holds the summary alone: no bar where there is no terminal.
    [summary] = outcome.err.splitlines()
    assert summary.startswith("1 song done: 0:00 of audio in 0:00 (")
    assert summary.endswith(" times real time)")
    assert len(quick) == 1


def test_options_reach_separator_and_files(
    unmix: Unmix, folder: Path, quick: list[dict[str, object]]
) -> None:
    fine = ["--chunk", 5, "--overlap", 0.5, "--shifts", 2, "--batch-size", 3, "--precision", "fp32"]
    fine += ["--wiener", 2]
    (folder / "some").mkdir()  # what the name means is for the weights to say
    outcome = unmix(
        *("separate", "music/a.wav", "-o", "out", "--stems", "vocals", "--format", "flac"),
        *("--bit-depth", 24, "--template", "{stem} of {name}", "--quality", "best"),
        *("--device", "cpu", "--model", "some", *fine),
    )
    assert (outcome.code, outcome.out) == (0, "out/vocals of a.flac\n")
    assert probe("out/vocals of a.flac").bit_depth == 24
    assert quick == [
        {
            "model": "some",
            "device": "cpu",
            "quality": "best",
            "chunk": 5,
            "overlap": 0.5,
            "shifts": 2,
            "batch_size": 3,
            "precision": "fp32",
            "wiener": 2,
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["music"], ["a", "b"]),
        (["music", "--recursive"], ["a", "b", "disc 1/c", "disc 1/bonus/d"]),
        (["music/disc 1", "music/a.wav"], ["c", "a"]),
        (["music/*.flac"], ["b"]),
        (["music/**/*.wav"], ["a", "d"]),
        (["music/[ab].*"], ["a", "b"]),
        (["music/a.wav", "music", "./music/../music/a.wav"], ["a", "b"]),
    ],
)
def test_songs_are_found(
    unmix: Unmix, folder: Path, arguments: list[str], expected: list[str]
) -> None:
    outcome = unmix("separate", *arguments, "--stems", "vocals", "-o", "out")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [f"out/{name}/vocals.wav" for name in expected]


def test_brackets_in_a_name_are_kept(unmix: Unmix, folder: Path, make_song: MakeSong) -> None:
    make_song(folder / "song [live].wav", seconds=0.1)
    outcome = unmix("separate", "song [live].wav", "--stems", "vocals")
    assert outcome.out == "separated/song [live]/vocals.wav\n"


def test_a_second_run_over_a_folder_does_not_separate_the_stems(unmix: Unmix, folder: Path) -> None:
    first = unmix("separate", ".", "--recursive")
    second = unmix("separate", ".", "--recursive", "--skip-existing")
    assert (first.code, second.code) == (0, 0)
    assert len(first.out.splitlines()) == 8
    assert second.out == ""
    assert second.err.splitlines()[-1] == "0 songs done, 4 skipped"


def test_what_fails_is_one_line_and_the_others_are_done(
    unmix: Unmix, folder: Path, make_song: MakeSong
) -> None:
    (folder / "text.mp3").write_text("this is no music")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "nothing").mkdir()
    words = [
        "missing.mp3",
        "text.mp3",
        "empty.wav",
        "nothing",
        "*.xyz",
        "music/a.wav",
        "music/b.flac",
    ]
    outcome = unmix("separate", *words)
    assert outcome.code == 1
    assert len(outcome.out.splitlines()) == 4
    assert len(outcome.errors) == 5
    for name, line in zip(words, outcome.errors, strict=False):
        assert name in line
    assert outcome.err.splitlines()[-1].startswith("2 songs done, 5 failed: ")


def test_no_model_is_loaded_without_songs(
    unmix: Unmix, folder: Path, quick: list[dict[str, object]]
) -> None:
    assert unmix("separate", "missing.wav").code == 1
    assert quick == []


def test_existing_stems(unmix: Unmix, folder: Path) -> None:
    unmix("separate", "music/a.wav")
    vocals = folder / "separated" / "a" / "vocals.wav"
    vocals.write_text("mine")
    refused = unmix("separate", "music/a.wav", "music/b.flac")
    assert refused.code == 1
    [error] = refused.errors
    assert "--overwrite" in error
    assert "--skip-existing" in error
    assert "2 failed" not in refused.err
    skipped = unmix("separate", "music/a.wav", "--skip-existing")
    assert (skipped.code, skipped.out) == (0, "")
    assert "skipped: music/a.wav" in skipped.err
    assert vocals.read_text() == "mine"
    assert unmix("separate", "music/a.wav", "--overwrite").code == 0
    assert vocals.read_bytes().startswith(b"RIFF")


@pytest.mark.parametrize("flag", ["--overwrite", "--skip-existing"])
def test_two_songs_of_a_run_never_share_files(
    unmix: Unmix, folder: Path, make_song: MakeSong, flag: str
) -> None:
    make_song(folder / "a.flac", seconds=0.1)
    outcome = unmix("separate", "music/a.wav", "a.flac", flag)
    assert outcome.code == 1
    assert "result of music/a.wav; choose other names with --template" in outcome.errors[0]
    assert probe("separated/a/vocals.wav").length == 8820
    karaoke = unmix("karaoke", "music/a.wav", "a.flac", "--format", "wav", "-o", "out", flag)
    assert karaoke.code == 1
    assert "choose another folder with --out" in karaoke.errors[0]


def test_two_karaoke_versions_of_a_run_never_share_a_file(
    unmix: Unmix, folder: Path, make_song: MakeSong
) -> None:
    """Two endings of one format give one name."""
    make_song(folder / "a.aiff", seconds=0.2)
    make_song(folder / "b.aiff", seconds=0.1).rename(folder / "a.aif")
    outcome = unmix("karaoke", "a.aiff", "a.aif", "--overwrite")
    assert (outcome.code, outcome.out) == (1, "a (karaoke).aiff\n")
    assert "result of a.aiff; choose another folder with --out" in outcome.errors[0]
    assert probe("a (karaoke).aiff").length == 8820


def test_a_name_that_is_too_long_is_one_line(unmix: Unmix, folder: Path) -> None:
    names = ("x" * 300, f"{'x' * 300}.*")
    outcome = unmix("separate", *names, "music/a.wav")
    assert outcome.code == 1
    assert outcome.errors == [
        f"error: {names[0]}: cannot be read: File name too long",
        f"error: {names[1]} matches no files",
    ]
    assert len(outcome.out.splitlines()) == 2


def test_circular_links_are_not_songs(unmix: Unmix, folder: Path) -> None:
    (folder / "music" / "loop.wav").symlink_to("loop.wav")
    outcome = unmix("separate", "music", "music/loop.wav", "--stems", "vocals")
    assert outcome.code == 1
    assert outcome.errors == ["error: music/loop.wav does not exist: check the name"]
    assert len(outcome.out.splitlines()) == 2


def test_a_folder_that_cannot_be_read_is_one_line(
    unmix: Unmix, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.iterdir

    def refuse(self: Path) -> Iterator[Path]:
        if self.name == "disc 1":
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    outcome = unmix("separate", "music", "--recursive", "--stems", "vocals")
    assert outcome.code == 1
    assert outcome.errors == ["error: music/disc 1: cannot be read: Permission denied"]
    assert len(outcome.out.splitlines()) == 2


def test_json_is_one_document_with_everything(unmix: Unmix, folder: Path) -> None:
    unmix("separate", "music/b.flac")
    outcome = unmix("separate", "music", "missing.wav", "--skip-existing", "--json")
    assert outcome.code == 1
    document = json.loads(outcome.out)
    assert {key: document[key] for key in ("command", "done", "skipped", "failed", "error")} == {
        "command": "separate",
        "done": 1,
        "skipped": 1,
        "failed": 1,
        "error": None,
    }
    assert not document["interrupted"]
    assert document["seconds"] == pytest.approx(0.2)
    assert document["speed"] == pytest.approx(0.2 / document["elapsed"])
    first, second, third = document["songs"]
    assert first == {
        "source": "music/a.wav",
        "status": "done",
        "error": None,
        "stems": {
            "vocals": "separated/a/vocals.wav",
            "accompaniment": "separated/a/accompaniment.wav",
        },
        "sample_rate": 44100,
        "channels": 2,
        "samples": 8820,
        "seconds": pytest.approx(0.2),
        "gain": 1.0,
        "warnings": [],
        "shortfalls": [],
        "skipped": False,
    }
    assert (second["status"], second["skipped"]) == ("skipped", True)
    assert third["status"] == "failed"
    assert "missing.wav does not exist" in third["error"]


def test_json_where_nothing_can_be_done(
    unmix: Unmix, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unmix.errors import ModelError

    def fail(*_: object, **__: object) -> None:
        raise ModelError("unknown model 'x'; choose from a, b")

    monkeypatch.setattr("unmix.songs.separator.Separator", fail)
    plain = unmix("separate", "music/a.wav", "--model", "x")
    assert (plain.code, plain.out) == (1, "")
    assert plain.err == "error: unknown model 'x'; choose from a, b\n"
    document = json.loads(unmix("separate", "music/a.wav", "--model", "x", "--json").out)
    assert document["error"] == "unknown model 'x'; choose from a, b"
    assert document["songs"] == []


class _Fails:
    stems = ("vocals", "accompaniment")
    model_name = "fails"

    def __init__(self, error: BaseException, at: int) -> None:
        self._error = error
        self._songs = iter(range(at))

    def stream(self, blocks: Any, sample_rate: int) -> Iterator[dict[str, Any]]:
        if next(self._songs, None) is None:
            raise self._error
        for block in blocks:
            yield {"vocals": block, "accompaniment": 0 * block}


def test_a_fault_in_one_song_is_one_line_and_the_rest_is_done(
    unmix: Unmix, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = _Fails(ZeroDivisionError("oh no"), 0)
    monkeypatch.setattr("unmix.songs.separator.Separator", lambda *_, **__: broken)
    outcome = unmix("separate", "music/a.wav", "missing.wav")
    assert outcome.code == 1
    assert outcome.errors == [
        "error: music/a.wav: ZeroDivisionError: oh no (a bug in unmix; --debug shows where)",
        "error: missing.wav does not exist: check the name",
    ]
    told = unmix("separate", "music/a.wav", "--debug")
    assert "Traceback" in told.err
    assert "in stream" in told.err


def test_an_interrupt_leaves_what_is_whole_and_nothing_else(
    unmix: Unmix, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in ([], ["--json"]):
        stopped = _Fails(KeyboardInterrupt(), 1)
        monkeypatch.setattr("unmix.songs.separator.Separator", lambda *_, s=stopped, **__: s)
        outcome = unmix("separate", "music", "--recursive", "-o", f"out{arguments}", *arguments)
        assert outcome.code == 130
        assert outcome.err.splitlines()[-1] == "Interrupted: no unfinished files are left."
        assert _stems(folder / f"out{arguments}") == {"a/vocals.wav", "a/accompaniment.wav"}
        assert not list(folder.rglob(".unmix-*"))
    document = json.loads(outcome.out)
    assert document["interrupted"]
    assert [song["source"] for song in document["songs"]] == ["music/a.wav"]


def test_warnings_appear_once_on_standard_error(
    unmix: Unmix, folder: Path, make_song: MakeSong
) -> None:
    make_song(folder / "hot.wav", peak=4.0, bit_depth=32)
    outcome = unmix("separate", "hot.wav")
    assert outcome.code == 0
    [warning] = [line for line in outcome.err.splitlines() if line.startswith("warning:")]
    assert "hot.wav would clip: all outputs were lowered by 8.9" in warning
    assert unmix("separate", "hot.wav", "--bit-depth", 32, "--overwrite").err.count("warning") == 0


def test_strict(unmix: Unmix, tricky: Path, tmp_path: Path) -> None:
    arguments = ("separate", tricky / "truncated.flac", "-o", tmp_path / "out")
    refused = unmix(*arguments, "--strict")
    assert refused.code == 1
    assert "cut short" in refused.errors[0]
    assert list(tmp_path.iterdir()) == []
    assert unmix(*arguments).code == 0


@pytest.mark.slow
def test_plot_beside_the_stems(unmix: Unmix, folder: Path) -> None:
    outcome = unmix("separate", "music/a.wav", "--plot")
    assert outcome.out.splitlines()[-1] == "separated/a/spectrograms.png"
    picture = folder / "separated" / "a" / "spectrograms.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert unmix("separate", "music/a.wav", "--plot").code == 1
    picture.unlink()
    again = json.loads(unmix("separate", "music/a.wav", "--plot", "--skip-existing", "--json").out)
    assert (again["done"], again["songs"][0]["plot"]) == (1, "separated/a/spectrograms.png")
    assert picture.is_file()
    assert "1 skipped" in unmix("separate", "music/a.wav", "--plot", "--skip-existing").err
    picture.write_text("mine")
    assert unmix("separate", "music/a.wav", "--plot", "--overwrite").code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_karaoke(unmix: Unmix, folder: Path) -> None:
    outcome = unmix("karaoke", "music", "--guide", "-18")
    assert outcome.code == 0
    assert outcome.out.splitlines() == ["music/a (karaoke).wav", "music/b (karaoke).flac"]
    # Karaoke versions of an earlier run are not songs.
    again = json.loads(unmix("karaoke", "music", "-r", "--skip-existing", "--json").out)
    assert [song["source"] for song in again["songs"]] == [
        "music/a.wav",
        "music/b.flac",
        "music/disc 1/c.WAV",
        "music/disc 1/bonus/d.wav",
    ]
    assert (again["done"], again["skipped"]) == (2, 2)
    assert again["songs"][2]["path"] == "music/disc 1/c (karaoke).wav"
    other = unmix("karaoke", "music/a.wav", "-o", "out", "--format", "mp3", "--bitrate", "128k")
    assert other.out == "out/a (karaoke).mp3\n"
    assert probe("out/a (karaoke).mp3").codec == "mp3"


def test_plot(unmix: Unmix, folder: Path) -> None:
    assert unmix("plot", "music/a.wav").out == "music/a (spectrograms).png\n"
    assert unmix("plot", "music/a.wav", "-o", "new/p.png").out == "new/p.png\n"
    assert (folder / "new" / "p.png").read_bytes().startswith(b"\x89PNG")
    refused = unmix("plot", "music/a.wav")
    assert refused.code == 1
    assert "--overwrite" in refused.errors[0]
    assert unmix("plot", "missing.wav").code == 1
