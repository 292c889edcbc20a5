"""What engines depend on, on this machine."""

from __future__ import annotations

from ytm_bundle.bundle import Bundle, open_bundle
from ytm_bundle.engines import EngineKey, Word
from ytm_bundle.manifest import Spec
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.engines.platform import onnx_key, tensorrt_key


class Description(Spec):
    """The keys that engines of some graphs have here, the preferred one first."""

    keys: tuple[EngineKey, ...]
    reasons: tuple[Word, ...]
    """Why there is none for a GPU; empty if there is."""


def describe(graphs: dict[str, str] | None = None) -> Description:
    """What engines of `graphs` depend on here; without any, what all engines do."""
    with open_bundle(DEMO_BUNDLE) as bundle:
        return _described(bundle, graphs or {})


def _described(bundle: Bundle, graphs: dict[str, str]) -> Description:
    reasons: list[str] = []
    on_gpu = tensorrt_key(bundle, reasons)
    keys = [key for key in (on_gpu, onnx_key(bundle)) if key is not None]
    return Description(
        keys=tuple(key.model_copy(update={"graphs": graphs}) for key in keys),
        reasons=tuple(reason[:500] for reason in reasons),
    )
