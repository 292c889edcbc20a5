"""What can go wrong, as one tree.

    YtmError                  anything the person at the command line can act on
    ├── UsageError            a flag or setting is wrong (exit 2)
    ├── BundleError           a bundle cannot be read, trusted or written
    │   └── NewerSchemaError  it was made by a later version of this project
    ├── MediaError            a video, recording or camera cannot be read
    ├── TakeoutError          an export of a watch history cannot be read
    ├── DatasetError          a dataset cannot be read or written
    ├── RunError              a training run cannot be continued or read
    ├── EvaluationError       a mirror cannot be measured on a dataset
    ├── ExportError           a graph does not agree with the network it came from
    ├── EngineError           engines cannot be built, here or on a board
    ├── ImageError            a flashable image cannot be made
    └── DeviceError           a camera, sound card, screen or engine fails
        ├── CardGoneError     a sound card that was playing has gone
        └── AnswerError       a graph gave what cannot be shown or heard

Every message names the file or key, the value found and what to do about it.
"""


class YtmError(Exception):
    """Base of every error that this project raises on purpose."""


class UsageError(YtmError):
    """A flag or a setting has a value that cannot work."""


class BundleError(YtmError):
    """A bundle is missing, damaged, unsafe or not what its manifest says."""


class NewerSchemaError(BundleError):
    """A bundle states a schema version that this version does not know."""


class MediaError(YtmError):
    """A video, recording or camera cannot be opened or decoded."""


class TakeoutError(YtmError):
    """An export is missing, damaged, unsafe or holds no watch history."""


class DatasetError(YtmError):
    """A dataset is missing, empty or has columns other than expected."""


class RunError(YtmError):
    """A training run is missing, incomplete or was started with other settings."""


class EvaluationError(YtmError):
    """A mirror cannot be measured on this dataset."""


class ExportError(YtmError):
    """A graph disagrees with its source by more than the tolerance."""


class EngineError(YtmError):
    """An engine cannot be built, or gives something other than its graph."""


class ImageError(YtmError):
    """A flashable image cannot be made, or would not start."""


class DeviceError(YtmError):
    """A camera, sound card, screen or inference engine cannot be used."""


class CardGoneError(DeviceError):
    """A sound card that took samples takes no more: unplugged, or broken."""


class AnswerError(DeviceError):
    """A graph answered a picture with what cannot be shown or heard."""
