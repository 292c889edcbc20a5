from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from appliance import vivid
from appliance.imitation import imitated
from ytm_bundle.bundle import Bundle, open_bundle
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.graph_check import check_graphs


@pytest.fixture(scope="module")
def imitation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imitation") / "bundle"
    imitated(DEMO_BUNDLE, folder)
    return folder


def remembered(bundle: Bundle) -> np.ndarray:
    """What the mirror makes of the bundle's stills: float32 (k, 3, h, w)."""
    stills = bundle.replay().images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    latents = OnnxEngine(bundle.graph_path("image_encoder")).run(image=stills)
    return OnnxEngine(bundle.graph_path("image_decoder")).run(latent=latents)


def test_an_imitation_is_a_bundle_that_passes_its_trial(imitation: Path) -> None:
    with open_bundle(imitation) as bundle:
        check_graphs(bundle)
        assert bundle.manifest.quality == {}


def test_an_imitation_answers_much_as_the_nets_do(imitation: Path) -> None:
    with open_bundle(imitation) as bundle, open_bundle(DEMO_BUNDLE) as real:
        nets, matrices = remembered(real), remembered(bundle)
    off = np.abs(matrices - nets).mean(axis=(1, 2, 3))
    of_another = np.abs(np.roll(nets, 1, axis=0) - nets).mean(axis=(1, 2, 3))
    assert (off < 0.5 * of_another).all()


def test_what_the_feeder_reads_is_what_was_packed() -> None:
    scenes = [[b"a", b"bc"], [], [b""]]
    assert list(vivid._unpacked(vivid.packed(scenes))) == scenes
