"""Laws of the grid: chunks cover every sample, none is too many, the last ends with the song."""

from hypothesis import given
from hypothesis import strategies as st

from unmix.separation.chunks import ChunkGrid


@st.composite
def grids(draw: st.DrawFn) -> ChunkGrid:
    step = draw(st.integers(1, 20))
    hop = step * draw(st.integers(1, 20))
    return ChunkGrid(
        chunk=hop + draw(st.integers(0, 300)),
        hop=hop,
        step=step,
        context=draw(st.integers(0, 50)),
        padding=draw(st.sampled_from(["reflect", "zeros"])),
    )


LENGTHS = st.integers(1, 3000)


@given(grid=grids(), length=LENGTHS)
def test_chunks_cover_every_sample_and_none_is_too_many(grid: ChunkGrid, length: int) -> None:
    covered = {
        sample
        for index in range(grid.count(length))
        for sample in range(grid.start(index), grid.start(index) + grid.chunk)
    }
    assert covered >= set(range(length))
    assert grid.count(length) == 1 or grid.start(grid.count(length) - 2) + grid.chunk < length


@given(grid=grids(), length=LENGTHS)
def test_the_last_chunk_ends_with_the_recording_on_the_step_grid(
    grid: ChunkGrid, length: int
) -> None:
    last = grid.start(grid.count(length) - 1)
    begin = last - grid.lookback(length)
    assert begin % grid.step == 0
    assert 0 <= begin <= last
    assert begin > last - grid.hop
    if grid.padding == "zeros":
        assert begin == last
    elif length >= grid.chunk:
        assert 0 <= begin + grid.chunk - length < grid.step
    else:
        assert begin == 0


@given(grid=grids(), count=st.integers(1, 30))
def test_what_chunks_need_ends_with_the_window_of_the_last(grid: ChunkGrid, count: int) -> None:
    last = grid.start(count - 1) - grid.context
    assert grid.needed(count) == last + grid.window
    # Chunks that are computed as soon as they can be are never more than the recording needs.
    assert grid.count(grid.needed(count)) >= count
