"""Which bundle a command uses when none is named."""

from __future__ import annotations

from pathlib import Path

INSTALLED_BUNDLE = Path("/data/ytm/bundle")
DEMO_BUNDLE = Path(__file__).parent / "demo_bundle"


def default_bundle() -> Path:
    """The bundle installed on this machine, else the demo bundle that ships."""
    return INSTALLED_BUNDLE if INSTALLED_BUNDLE.exists() else DEMO_BUNDLE
