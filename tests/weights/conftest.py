"""Fixtures of several tests of weights."""

from collections.abc import Iterator

import pytest
from serving import Net, served


@pytest.fixture
def net() -> Iterator[Net]:
    with served() as net:
        yield net
