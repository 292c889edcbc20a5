"""The ways of inverting mel spectrograms that have names."""

from __future__ import annotations

from ytm_bundle.manifest import GrainInversion, StreamInversion

STREAM = StreamInversion(look_ahead_frames=1, iterations=12, updates=2)
"""As the preset `continuous` plays."""
QUALITY = StreamInversion(look_ahead_frames=3, iterations=16, updates=2)
"""Heard later, and nearer to what was analysed."""
ZERO = StreamInversion(look_ahead_frames=0, iterations=12, updates=2)
"""Heard soonest."""
GRAINS = GrainInversion(frames=5, iterations=5)
"""As the artwork plays."""
