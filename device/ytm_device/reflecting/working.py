"""What a bundle is answered by while the service runs."""

from __future__ import annotations

from pathlib import Path

from ytm_bundle.bundle import Bundle
from ytm_device.engines.choice import ChosenMind
from ytm_device.engines.search import Wish
from ytm_device.owner import Owner
from ytm_device.reflecting.reflector import Reflector
from ytm_device.settings.model import MirrorSettings


def wish_of(settings: MirrorSettings) -> Wish:
    """What the settings say of what answers."""
    return Wish(settings.reflect.engines, settings.reflect.cuda_graph)


class Working(Owner):
    """A mind that has answered, and the reflector that asks it.

    Engines of a bundle that comes are looked for while the one before it plays on.
    """

    def __init__(self, bundle: Bundle, wish: Wish, data: Path, run_dir: Path) -> None:
        """See `ChosenMind`.

        Raises:
            BundleError: some of the bundle cannot be read.
            DeviceError: a graph cannot be loaded or run, or its answer is not finite.
        """
        self.mind = ChosenMind(bundle, wish, data, run_dir)
        self.reflector = Reflector(bundle, self.mind)

    def close(self) -> None:
        """Release the graphs."""
        self.reflector.close()
