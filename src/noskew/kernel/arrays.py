"""Names for the arrays that kernels take and give."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Positions, numbers or times in µs.
Index: TypeAlias = NDArray[np.int64]
#: Which of some items.
Mask: TypeAlias = NDArray[np.bool_]
#: Bits of 64, such as hashes and limbs.
Words: TypeAlias = NDArray[np.uint64]
#: Raw bytes.
Bytes: TypeAlias = NDArray[np.uint8]
