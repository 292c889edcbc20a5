"""Training decodes with PyAV, the gallery with GStreamer: the encoder must see the same picture."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.file import read_frames
from ytm_training.media import fit_image, iterate_frames

MATERIAL = Path(__file__).parents[2].parent / "shared" / "data"
CLIPS = [
    "camera/webrtc_two_men_3.mp4",
    "camera/asl_thanks.mkv",
    "camera/webcam_man_faces_a.mp4",
    "videos/changi_fountain.mp4",
    "videos/vggsound_paper_tear.mp4",
    "videos/grid_bbaf2n.mpg",
    "videos/bear.webm",
    "videos/makeup_webcam.avi",
    "videos/vas_drummer.mp4",
]
COUNT = 10
TOLERANCE = 2.0
"""Mean absolute difference, in 1/255."""


@pytest.mark.skipif(not MATERIAL.is_dir(), reason="the videos in ../shared/data are not here")
@pytest.mark.parametrize("fit", ["crop", "squeeze"])
@pytest.mark.parametrize("clip", CLIPS)
def test_both_ways_give_the_same_encoder_input(clip, fit):
    spec = ImageSpec(width=112, height=112, fit=fit)
    gallery = [
        frame.pixels.astype(int) for frame in islice(read_frames(MATERIAL / clip, spec), COUNT)
    ]
    decoded = islice(iterate_frames(MATERIAL / clip), COUNT)
    training = [fit_image(picture, spec).astype(int) for _, picture in decoded]
    assert len(gallery) == len(training) == COUNT
    differences = [np.abs(one - other).mean() for one, other in zip(gallery, training, strict=True)]
    assert np.mean(differences) <= TOLERANCE
