"""The order of channels, and which of them form pairs for a stereo model.

Channels are in the order of WAV files (SMPTE), FL FR FC LFE BL BR BC SL SR, as far as a layout has
them. The order of Ogg Vorbis and Opus differs and is converted inside ``audio``.
"""

from __future__ import annotations

_GROUPS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((0,),),
    2: ((0, 1),),
    3: ((0, 1), (2,)),  # FL FR FC
    4: ((0, 1), (2, 3)),  # FL FR BL BR
    5: ((0, 1), (2,), (3, 4)),  # FL FR FC BL BR
    6: ((0, 1), (2,), (3,), (4, 5)),  # FL FR FC LFE BL BR
    7: ((0, 1), (2,), (3,), (4,), (5, 6)),  # FL FR FC LFE BC SL SR
    8: ((0, 1), (2,), (3,), (4, 5), (6, 7)),  # FL FR FC LFE BL BR SL SR
}

#: By count of channels: the WAV channel of each channel of an Ogg stream.
VORBIS_ORDER: dict[int, tuple[int, ...]] = {
    3: (0, 2, 1),  # FL FC FR
    5: (0, 2, 1, 3, 4),  # FL FC FR BL BR
    6: (0, 2, 1, 4, 5, 3),  # FL FC FR BL BR LFE
    7: (0, 2, 1, 5, 6, 4, 3),  # FL FC FR SL SR BC LFE
    8: (0, 2, 1, 6, 7, 4, 5, 3),  # FL FC FR SL SR BL BR LFE
}

#: By count of channels: FFmpeg's name of the layout with the WAV order above.
LAYOUT_NAMES = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}

#: By count of channels: the channel mask of a WAV file, a bit per speaker.
CHANNEL_MASKS = {1: 0x4, 2: 0x3, 3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}


def channel_groups(channels: int) -> tuple[tuple[int, ...], ...]:
    """Return which channels of a layout go through a stereo model together.

    Left and right of front, back and sides are pairs; centre and low-frequency channels are
    single, as are all channels of a count without a usual layout.

    Args:
        channels: count of channels, at least 1.

    Returns:
        Tuples of channel indices, every channel once, in ascending order.

    Raises:
        ValueError: ``channels`` is less than 1.
    """
    if channels < 1:
        raise ValueError(f"expected at least one channel, got {channels}")
    return _GROUPS.get(channels) or tuple((index,) for index in range(channels))
