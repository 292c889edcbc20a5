"""Answers to many rows, a few at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[np.float32]
Pictures = npt.NDArray[np.uint8]
Given = TypeVar("Given", bound=np.generic)
Made = TypeVar("Made", bound=np.generic)

_BATCH = 64


def batched(
    answer: Callable[[npt.NDArray[Given]], npt.NDArray[Made]], rows: npt.NDArray[Given]
) -> npt.NDArray[Made]:
    """What `answer` makes of `rows`, batch first, without gradients."""
    with torch.inference_mode():
        return np.concatenate(
            [answer(rows[start : start + _BATCH]) for start in range(0, len(rows), _BATCH)]
        )
