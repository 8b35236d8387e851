"""Types that many rooms share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

#: Audio samples ``[C, N]``, or ``[N]`` of one channel, in [-1, 1].
Samples = NDArray[np.float32]

#: Called with the fraction that is done, in [0, 1]; what it raises ends the work.
Progress = Callable[[float], object]
