"""Types used throughout the package."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

#: Audio samples ``[C, N]``, or ``[N]`` of one channel, full scale 1.
Samples = NDArray[np.float32]

#: Called with the fraction done, in [0, 1]; an exception that it raises cancels the work.
Progress = Callable[[float], object]
