"""A writer of TensorFlow checkpoints, for tests to damage what it writes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import google_crc32c
import torch
from torch import Tensor

CODES = {
    torch.float32: 1,
    torch.float64: 2,
    torch.int32: 3,
    torch.int64: 9,
    torch.bool: 10,
    torch.bfloat16: 14,
    torch.float16: 19,
}
TENSORS = {
    "global_step": torch.tensor(1000),
    "separator/conv1d/bias": torch.arange(5, dtype=torch.float32),
    "separator/conv1d/kernel": torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(1)),
    "separator/conv1d_1/bias": torch.full((7,), 0.25, dtype=torch.float16),
    "some/bfloats": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "some/counts": torch.tensor([[1, -2], [3, 4]], dtype=torch.int32),
    "some/flags": torch.tensor([True, False, True]),
    "some/precise": torch.tensor(0.1, dtype=torch.float64),
}


def varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def block(pairs: Iterable[tuple[bytes, bytes]], every: int = 4) -> bytes:
    """Return a block in which every fourth key is a restart."""
    out, restarts, last = b"", [], b""
    for rank, (key, value) in enumerate(pairs):
        common = 0
        if rank % every == 0:
            restarts.append(len(out))
        else:
            while common < min(len(key), len(last)) and key[common] == last[common]:
                common += 1
        out += varint(common) + varint(len(key) - common) + varint(len(value))
        out += key[common:] + value
        last = key
    restarts = restarts or [0]
    return out + b"".join(n.to_bytes(4, "little") for n in [*restarts, len(restarts)])


def table(pairs: dict[bytes, bytes], size: int = 5, compression: int = 0) -> bytes:
    """Return a table with ``size`` pairs a block."""
    out = b""

    def append(content: bytes) -> bytes:
        nonlocal out
        handle = varint(len(out)) + varint(len(content))
        content += bytes([compression])
        out += content + checksum(content)
        return handle

    listed = sorted(pairs.items())
    cuts = [listed[at : at + size] for at in range(0, len(listed), size)]
    handles = [(cut[-1][0], append(block(cut))) for cut in cuts]
    footer = append(block([])) + append(block(handles, every=1))
    return out + footer.ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little")


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


@dataclass
class Checkpoint:
    """A checkpoint to write; tests change what should be wrong."""

    tensors: dict[str, Tensor] = field(default_factory=lambda: dict(TENSORS))
    shards: int = 1
    header: bytes | None = None
    extra: dict[bytes, bytes] = field(default_factory=dict)
    compression: int = 0

    def write(self, prefix: Path) -> Path:
        header = number(1, self.shards) + message(3, number(1, 1))
        pairs = {b"": header if self.header is None else self.header}
        data = [b""] * self.shards
        for rank, (name, tensor) in enumerate(self.tensors.items()):
            raw = bytes(tensor.reshape(-1).contiguous().view(torch.uint8).tolist())
            shard = rank % self.shards
            shape = b"".join(message(2, number(1, size)) for size in tensor.shape)
            pairs[name.encode()] = (
                number(1, CODES[tensor.dtype])
                + message(2, shape)
                + number(3, shard)
                + number(4, len(data[shard]))
                + number(5, len(raw))
                + varint(6 << 3 | 5)
                + checksum(raw)
            )
            data[shard] += raw
        for shard, content in enumerate(data):
            shard_path(prefix, shard, self.shards).write_bytes(content)
        index = prefix.with_name(prefix.name + ".index")
        index.write_bytes(table(pairs | self.extra, compression=self.compression))
        return index


def shard_path(prefix: Path, shard: int = 0, shards: int = 1) -> Path:
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")


def entry(
    dtype: int = 1, size: int = 4, dimensions: Iterable[int] = (1,), rest: bytes = b""
) -> bytes:
    shape = b"".join(message(2, number(1, dimension)) for dimension in dimensions)
    return number(1, dtype) + message(2, shape) + number(5, size) + rest
