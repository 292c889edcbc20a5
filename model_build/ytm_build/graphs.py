"""The six graphs: what each one computes, and writing it as ONNX.

A graph takes and gives float32. Its body computes in float32 or float16, by casts inside the graph,
so that one file means the same to every TensorRT and to ONNX Runtime (strongly typed networks).
"""

from __future__ import annotations

import copy
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ytm_bundle.manifest import GRAPH_NAMES, GRAPH_OUTPUTS, GraphName
from ytm_training.learn.run import Associator, Networks

OPSET = 18


@dataclass(frozen=True)
class Graph:
    """One graph as a torch module of one output, batch first."""

    name: GraphName
    module: nn.Module
    inputs: tuple[str, ...]
    """Names of its input tensors, in the order in which the module takes them."""

    @property
    def output_name(self) -> str:
        """Name of its output in the manifest."""
        return GRAPH_OUTPUTS[self.name]

    @property
    def output_tensor(self) -> str:
        """Name of its output in the file, where no two tensors may share one."""
        clash = self.output_name in self.inputs
        return f"associated_{self.output_name}" if clash else self.output_name


class _ImageEncoder(nn.Module):
    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.encoder = networks.image_vae.encoder

    def forward(self, image: Tensor) -> Tensor:
        mean: Tensor = self.encoder(image).mean
        return mean


class _ImageDecoder(nn.Module):
    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.decoder = networks.image_vae.decoder

    def forward(self, latent: Tensor) -> Tensor:
        image: Tensor = self.decoder(latent)
        return image.clamp(0, 1)


class _SoundEncoder(nn.Module):
    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.encoder = networks.sound_vae.encoder

    def forward(self, mel: Tensor) -> Tensor:
        mean: Tensor = self.encoder(mel.unsqueeze(1)).mean
        return mean


class _SoundDecoder(nn.Module):
    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.decoder = networks.sound_vae.decoder

    def forward(self, latent: Tensor) -> Tensor:
        mel: Tensor = self.decoder(latent)
        return mel.squeeze(1).clamp(0, 1)


class HalfBody(nn.Module):
    """Computes in float16 between float32 inputs and a float32 output."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.body = copy.deepcopy(module).half()

    def forward(self, *tensors: Tensor) -> Tensor:
        """Run the body on `tensors`."""
        result: Tensor = self.body(*(tensor.half() for tensor in tensors))
        return result.float()


def graphs(networks: Networks) -> list[Graph]:
    """The six graphs of `networks`, in the manifest's order, normalisation folded into weights."""
    parts: dict[GraphName, tuple[nn.Module, tuple[str, ...]]] = {
        "image_encoder": (_ImageEncoder(networks), ("image",)),
        "image_to_sound": (networks.image_to_sound, _associated(networks.image_to_sound)),
        "sound_to_image": (networks.sound_to_image, _associated(networks.sound_to_image)),
        "image_decoder": (_ImageDecoder(networks), ("latent",)),
        "sound_encoder": (_SoundEncoder(networks), ("mel",)),
        "sound_decoder": (_SoundDecoder(networks), ("latent",)),
    }
    return [Graph(name, _folded(parts[name][0]), parts[name][1]) for name in GRAPH_NAMES]


def _associated(associator: Associator) -> tuple[str, ...]:
    return ("latent", "noise") if associator.takes_noise else ("latent",)


def _folded(module: nn.Module) -> nn.Module:
    """A copy for inference, each BatchNorm folded into the convolution before it."""
    module = copy.deepcopy(module).eval()
    for block in [part for part in module.modules() if isinstance(part, nn.Sequential)]:
        for index in range(len(block) - 1):
            convolution, norm = block[index], block[index + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[index] = fuse_conv_bn_eval(convolution, norm)
                block[index + 1] = nn.Identity()
    return module


def write_onnx(graph: Graph, example: tuple[Tensor, ...], path: Path, half: bool) -> None:
    """Export a graph to one ONNX file with a free batch axis.

    Args:
        graph: what to export.
        example: its inputs, batch first, at least two in the batch.
        path: the file to write.
        half: compute in float16.
    """
    module = HalfBody(graph.module) if half else graph.module
    batch = torch.export.Dim("n", min=1, max=4096)
    shapes = tuple({0: batch} for _ in example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes on torch's own internals
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module.eval(),
            example,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=[graph.output_tensor],
            dynamic_shapes=(shapes,) if half else shapes,
        )
    assert program is not None
    model = program.model_proto
    _forget_where_it_was_made(model)
    onnx.save(model, str(path))


def _forget_where_it_was_made(model: onnx.ModelProto) -> None:
    """Remove the exporter's stack traces, which hold the paths of the machine."""
    graph = model.graph
    tensors = [*graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for part in (model, graph, *graph.node, *tensors):
        del part.metadata_props[:]
        part.doc_string = ""
