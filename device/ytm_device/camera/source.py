"""What every camera is, and how its pictures reach the encoder's size: one way for all of them."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from ytm_bundle.manifest import ImageSpec
from ytm_device.camera.colour import rgb_from_ycbcr
from ytm_device.frame import Frame
from ytm_device.gstreamer import COLOUR, PICTURES, Sample
from ytm_device.owner import Owner


class CameraSource(Owner):
    """Gives the newest picture. Used in one thread at a time."""

    name: str
    """Which camera, for the log and the status."""

    @abstractmethod
    def next_frame(self, timeout_s: float) -> Frame | None:
        """Wait for a picture newer than the last; None if none came within `timeout_s`.

        Pictures that came between two calls are dropped but for the newest; the gap in
        `Frame.sequence` counts them.

        Raises:
            DeviceError: the camera failed.
            MediaError: the file cannot be decoded.
        """

    @property
    def damaged(self) -> int:
        """Pictures that came and were dropped because part of them was missing."""
        return 0

    def step_exposure(self, direction: int) -> None:
        """Expose half a stop longer (1) or shorter (-1), if the camera leaves that to the mirror.

        Returns at once, and raises nothing: a camera that cannot do it stays as it is.
        """


def scaling(image: ImageSpec) -> str:
    """Elements that turn any picture into the encoder's size, as part of a pipeline.

    `bilinear2` is the triangle kernel as wide as the reduction requires; plain `bilinear` takes two
    pixels whatever the reduction, and flickers. YCbCr stays so until it is small: `pixels` converts
    it exactly.
    """
    crop = f"aspectratiocrop aspect-ratio={image.width}/{image.height} ! "
    return (
        "videoconvert dither=none ! video/x-raw,format=(string){RGB,Y444} ! "
        f"capssetter name={COLOUR} ! "
        "videoflip video-direction=auto ! "
        f"{crop if image.fit == 'crop' else ''}"
        "videoscale method=bilinear2 add-borders=false ! "
        f"video/x-raw,width={image.width},height={image.height},pixel-aspect-ratio=1/1"
    )


def sink(*, realtime: bool, newest_only: bool) -> str:
    """The last element: `realtime` waits until each picture is due, `newest_only` drops others."""
    keep = "max-buffers=1 drop=true" if newest_only else "max-buffers=4 drop=false"
    return f"appsink name={PICTURES} emit-signals=false sync={str(realtime).lower()} {keep}"


def pixels(sample: Sample) -> npt.NDArray[np.uint8]:
    """The picture of a sample: uint8 (height, width, 3) RGB."""
    if len(sample.planes) == 1:
        return sample.planes[0]
    luma, blue, red = sample.planes
    return rgb_from_ycbcr((luma, blue, red), sample.matrix, sample.full_range)
