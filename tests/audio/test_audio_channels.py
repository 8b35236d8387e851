from __future__ import annotations

import pytest

from unmix.audio import channel_groups
from unmix.audio.channels import CHANNEL_MASKS, LAYOUT_NAMES, VORBIS_ORDER


@pytest.mark.parametrize("channels", range(1, 20))
def test_groups_hold_every_channel_once_in_order(channels):
    groups = channel_groups(channels)
    assert sorted(index for group in groups for index in group) == list(range(channels))
    assert list(groups) == sorted(groups)
    assert all(len(group) in (1, 2) for group in groups)


def test_surround_keeps_centre_and_low_frequencies_alone():
    assert channel_groups(1) == ((0,),)
    assert channel_groups(2) == ((0, 1),)
    assert channel_groups(6) == ((0, 1), (2,), (3,), (4, 5))
    assert channel_groups(8) == ((0, 1), (2,), (3,), (4, 5), (6, 7))


def test_no_channels_are_refused():
    with pytest.raises(ValueError, match="at least one channel"):
        channel_groups(0)


def test_tables_describe_the_same_counts():
    for channels, order in VORBIS_ORDER.items():
        assert sorted(order) == list(range(channels))
    for channels, mask in CHANNEL_MASKS.items():
        assert mask.bit_count() == channels
        assert channels in LAYOUT_NAMES
