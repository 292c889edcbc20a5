from __future__ import annotations

import numpy as np

from ytm_device.sound.level import falling, rising


def test_ramps_go_from_silence_to_full_level_and_back() -> None:
    up = rising(1000)
    assert up.dtype == np.float32
    assert up[0] < 1e-5
    assert up[-1] > 1 - 1e-5
    assert np.all(np.diff(up) >= 0)
    assert np.array_equal(falling(1000), up[::-1])
    assert np.allclose(up + falling(1000), 1, atol=1e-6)
    assert rising(0).size == 0
