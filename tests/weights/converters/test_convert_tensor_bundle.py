"""TensorFlow checkpoints: real ones, and ones written here byte by byte and damaged."""

import json
import sys
import zlib
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import (
    TENSORS,
    Checkpoint,
    block,
    checksum,
    entry,
    message,
    number,
    shard_path,
    table,
    varint,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from unmix.errors import ModelError
from unmix.weights.converters._sstable import DamageError, read_table
from unmix.weights.converters._tensor_bundle import read_bundle

REAL = [
    "spleeter_2stems_reduced_random",
    "spleeter_2stems_reduced_released",
    "spleeter_4stems_reduced_released",
    "spleeter_5stems_reduced_random",
    "spleeter_5stems_reduced_released",
    "waveunet_M4_reduced/baseline_stereo",
    "waveunet_M5_reduced/full_44KHz",
    "waveunet_M6_reduced/full_multi_instrument",
]

# --- real files -----------------------------------------------------------------------------------


def expected(name: str, shape: tuple[int, ...], released: bool) -> np.ndarray | None:
    """Return a variable by the rule it was filled with."""
    seed = zlib.crc32(name.encode()) & 0xFFFFFFFF
    g = np.random.RandomState(seed).standard_normal(prod(shape)).reshape(shape)
    last = name.rpartition("/")[2]
    if name.startswith(("separator/", "separator_solver/separator/")):
        if last.startswith("Adam"):
            return 1e-3 * np.abs(g)
        if last == "kernel":
            return 1.5 * g / np.sqrt(shape[0] * shape[1])
        return 0.02 * g if last == "bias" else g
    if name.startswith("separator_solver/"):
        return np.array({"beta1_power": 0.5, "beta2_power": 0.7}[last])
    if name == "global_step":
        return None
    return {
        "kernel": lambda: _spleeter_kernel(name, shape, g),
        "bias": lambda: 0.05 * g,
        "gamma": lambda: 1 + 0.1 * g,
        "beta": lambda: 0.05 * g,
        "moving_mean": lambda: 0 * g if released else 0.2 * g,
        "moving_variance": lambda: 0 * g + 1 if released else 0.5 + np.abs(g),
    }[last]()


def _spleeter_kernel(name: str, shape: tuple[int, ...], g: np.ndarray) -> np.ndarray:
    height, width, third, _ = shape
    if "transpose" in name:
        return g / np.sqrt(height * width * shape[3] / 4)
    if shape == (4, 4, 1, 2):
        return g
    return g / np.sqrt(height * width * third) * (0.1 if shape[:3] == (5, 5, 2) else 1)


@pytest.mark.parametrize("name", REAL)
def test_real_checkpoints_hold_their_values(shared: Path, name: str) -> None:
    folder = shared / "parity_tf" / name
    tensors = read_bundle(folder)
    variables = json.loads((folder / "variables.json").read_text())
    assert tensors.keys() == {variable["name"] for variable in variables}
    for variable in variables:
        tensor = tensors[variable["name"]]
        assert list(tensor.shape) == variable["shape"]
        assert str(tensor.dtype) == f"torch.{variable['dtype']}"
        values = expected(variable["name"], tuple(tensor.shape), "released" in name)
        if values is not None:
            np.testing.assert_array_equal(tensor.numpy(), values.astype(np.float32))
    step = next(folder.glob("*.index")).stem.rpartition("-")[2]
    assert int(tensors["global_step"]) == (int(step) if step.isdigit() else 1000)


# --- files made here ------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [1, 3])
def test_every_type_and_shard_comes_back(tmp_path: Path, shards: int) -> None:
    index = Checkpoint(shards=shards).write(tmp_path / "model.ckpt-7")
    tensors = read_bundle(index)
    assert list(tensors) == sorted(TENSORS)
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype


def test_a_checkpoint_by_its_index_prefix_or_folder(tmp_path: Path) -> None:
    index = Checkpoint().write(tmp_path / "model.ckpt-7")
    for path in (index, tmp_path / "model.ckpt-7", tmp_path):
        assert read_bundle(path).keys() == TENSORS.keys()
    Checkpoint({"newer": torch.zeros(1)}).write(tmp_path / "model.ckpt-8")
    with pytest.raises(ModelError, match=r"expected one TensorFlow checkpoint, found several"):
        read_bundle(tmp_path)
    text = 'model_checkpoint_path: "/their/machine/model.ckpt-8"\n'
    text += 'all_model_checkpoint_paths: "/their/machine/model.ckpt-7"\n'
    (tmp_path / "checkpoint").write_text(text)
    assert read_bundle(tmp_path).keys() == {"newer"}


def test_strings_are_skipped(tmp_path: Path) -> None:
    extra = {b"_CHECKPOINTABLE_OBJECT_GRAPH": entry(dtype=7, size=999, dimensions=())}
    index = Checkpoint(extra=extra).write(tmp_path / "model")
    assert read_bundle(index).keys() == TENSORS.keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names 'no checkpoint'"),
        ('model_checkpoint_path: "gone"', "names 'gone', expected one whose .index"),
        ('model_checkpoint_path: "\0"', "expected one whose .index"),
        ("\xff\xfe\x00", "names 'no checkpoint'"),
    ],
)
def test_a_folder_that_names_no_checkpoint(tmp_path: Path, text: str, message: str) -> None:
    Checkpoint().write(tmp_path / "model")
    (tmp_path / "checkpoint").write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match=message):
        read_bundle(tmp_path)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"found no \.index file"):
        read_bundle(tmp_path)
    with pytest.raises(ModelError, match=r"model.index: no such TensorFlow checkpoint"):
        read_bundle(tmp_path / "model.index")
    index = Checkpoint().write(tmp_path / "model")
    with pytest.raises(ModelError, match=r"data-00000-of-00001: not a TensorFlow checkpoint: exp"):
        read_bundle(shard_path(tmp_path / "model"))
    shard_path(tmp_path / "model").unlink()
    with pytest.raises(ModelError, match=r"model.data-00000-of-00001: missing: expected"):
        read_bundle(index)
    Checkpoint(shards=3).write(tmp_path / "three")
    shard_path(tmp_path / "three", 1, 3).unlink()
    with pytest.raises(ModelError, match=r"three.data-00001-of-00003: missing"):
        read_bundle(tmp_path / "three")
    shard_path(tmp_path / "three", 1, 3).mkdir()
    with pytest.raises(ModelError, match=r"three.data-00001-of-00003"):
        read_bundle(tmp_path / "three")


@pytest.mark.parametrize("content", [b"", b"x", b"hello world\n" * 999, bytes(5000)])
def test_a_file_that_is_not_an_index(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "song.index").write_bytes(content)
    with pytest.raises(ModelError, match=r"song.index: not the index of a TensorFlow checkpoint"):
        read_bundle(tmp_path / "song.index")


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (Checkpoint(header=number(1, 0)), "expected 1 to 99999 data files, found 0"),
        (Checkpoint(header=number(1, 2**40)), "data files, found"),
        (Checkpoint(header=number(1, 1) + number(2, 1)), "big-endian"),
        (Checkpoint(header=message(1, b"meta")), "a number was expected"),  # of version 1
        (Checkpoint(header=b"\x0b"), "wire type 3"),
        (Checkpoint(header=b"\x08" + b"\xff" * 11), "more than 64 bits"),
        (Checkpoint(compression=1), "compressed"),
        (Checkpoint(extra={b"x": entry(dtype=20)}), "x is of type 20, expected floats"),
        (Checkpoint(extra={b"x": entry(rest=message(7, b""))}), "in slices"),
        (Checkpoint(extra={b"x": entry(dimensions=(2,))}), r"shape \(2,\) but 4 bytes"),
        (Checkpoint(extra={b"x": entry(size=0, dimensions=(0, 2**62, 2**62))}), "but 0 bytes"),
        (Checkpoint(extra={b"x": entry(dimensions=[1] * 65)}), "has the shape"),
        (Checkpoint(extra={b"x": entry(dimensions=(2**64 - 1,))}), "has the shape"),
        (Checkpoint(extra={b"x": entry(rest=number(3, 1))}), "data file 1 of 1"),
        (Checkpoint(extra={b"x": entry()[:-1]}), "cut off"),
        (Checkpoint(extra={b"x": number(1, 1) + number(2, 5)}), "a message was expected"),
        (Checkpoint(extra={b"\0\xff": entry()}), "not a tensor's name"),
        (Checkpoint(extra={b"x" * 5000: entry()}), "a key is damaged"),
    ],
)
def test_an_index_that_cannot_be_right(tmp_path: Path, damaged: Checkpoint, reason: str) -> None:
    index = damaged.write(tmp_path / "model")
    with pytest.raises(
        ModelError, match=rf"model.index: not the index of .* checkpoint: .*{reason}"
    ):
        read_bundle(index)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (entry(), "the checksum of x is wrong"),
        (entry(rest=number(4, 2**63)), "x lies beyond its end"),
        (entry(size=4 << 40, dimensions=(1 << 40,)), "expected 4398"),
    ],
)
def test_a_tensor_that_is_not_there(tmp_path: Path, wrong: bytes, reason: str) -> None:
    index = Checkpoint(extra={b"x": wrong}).write(tmp_path / "model")
    data = shard_path(tmp_path / "model")
    data.write_bytes(data.read_bytes() + b"more")
    with pytest.raises(ModelError, match=rf"data-00000-of-00001: not the data of .*: {reason}"):
        read_bundle(index)


def test_a_block_that_is_listed_again_and_again() -> None:
    """A few bytes must not expand to a list that fills the memory."""
    content = block([(b"key", b"value")])
    content += b"\0" + checksum(content + b"\0")
    handle = varint(0) + varint(len(content) - 5)
    listing = block([(b"%05d" % rank, handle) for rank in range(1000)])
    listing += b"\0" + checksum(listing + b"\0")
    footer = handle + varint(len(content)) + varint(len(listing) - 5)
    end = 0xDB4775248B80FB57.to_bytes(8, "little")
    with pytest.raises(DamageError, match="not in order"):
        read_table(content + listing + footer.ljust(40, b"\0") + end)


def test_no_end_of_restarts() -> None:
    for content in (b"", b"\0\0\0", b"\xff" * 8):
        framed = content + b"\0" + checksum(content + b"\0")
        footer = varint(0) + varint(len(content)) + varint(0) + varint(len(content))
        end = 0xDB4775248B80FB57.to_bytes(8, "little")
        with pytest.raises(DamageError, match="restarts"):
            read_table(framed + footer.ljust(40, b"\0") + end)


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, bytes]:
    index = Checkpoint().write(tmp_path_factory.mktemp("damage") / "model")
    return index, index.read_bytes(), shard_path(index.with_suffix("")).read_bytes()


def test_every_changed_byte_is_noticed(written: tuple[Path, bytes, bytes]) -> None:
    """Each byte of the index and of the data in turn, and every length that is too short."""
    index, listing, data = written
    shard = shard_path(index.with_suffix(""))
    for path, content in ((index, listing), (shard, data)):
        index.write_bytes(listing)
        shard.write_bytes(data)
        for at in range(len(content)):
            for damaged in (_flipped(content, at, 0x10), content[:at]):
                path.write_bytes(damaged)
                with pytest.raises(ModelError, match=path.name):
                    read_bundle(index)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_damage_is_a_model_error(
    written: tuple[Path, bytes, bytes], data: st.DataObject
) -> None:
    index, listing, numbers = written
    kinds = st.sampled_from(["flip", "cut", "insert", "swap"])
    damaged = listing
    for kind in data.draw(st.lists(kinds, min_size=1, max_size=4)):
        at = data.draw(st.integers(0, max(len(damaged) - 1, 0)))
        to = data.draw(st.integers(at, len(damaged)))
        if kind == "flip" and damaged:
            damaged = _flipped(damaged, at, data.draw(st.integers(1, 255)))
        elif kind == "cut":
            damaged = damaged[:at] + damaged[to:]
        elif kind == "insert":
            damaged = damaged[:at] + data.draw(st.binary(max_size=9)) + damaged[at:]
        else:
            damaged = damaged[to:] + damaged[at:to] + damaged[:at]
    index.write_bytes(damaged)
    shard_path(index.with_suffix("")).write_bytes(numbers)
    try:
        tensors = read_bundle(index)
    except ModelError:
        return
    assert all(torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items())


@settings(max_examples=200, deadline=None)
@given(messages=st.dictionaries(st.binary(max_size=12), st.binary(max_size=60), max_size=8))
def test_entries_of_any_bytes(
    tmp_path_factory: pytest.TempPathFactory, messages: dict[bytes, bytes]
) -> None:
    """With valid checksums, as an attacker would write them."""
    index = tmp_path_factory.mktemp("entries") / "model.index"
    shard_path(index.with_suffix("")).write_bytes(bytes(100))
    index.write_bytes(table({b"": number(1, 1)} | messages))
    try:
        tensors = read_bundle(index)
    except ModelError:
        return
    assert sum(tensor.nbytes for tensor in tensors.values()) <= 100


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=80))
def test_blocks_of_any_bytes(content: bytes) -> None:
    framed = content + b"\0" + checksum(content + b"\0")
    footer = 2 * (varint(0) + varint(len(content)))
    end = 0xDB4775248B80FB57.to_bytes(8, "little")
    try:
        pairs = read_table(framed + footer.ljust(40, b"\0") + end)
    except DamageError:
        return
    assert len(pairs) <= len(content)


def _flipped(content: bytes, at: int, bits: int) -> bytes:
    return content[:at] + bytes([content[at] ^ bits]) + content[at + 1 :]


def test_without_the_checksum_package_a_sentence_says_what_to_install(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(ModelError, match=r"pip install 'unmix\[tensorflow-weights\]'"):
        read_bundle(shared / "parity_tf" / REAL[0])
