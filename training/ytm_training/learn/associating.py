"""The stages that learn which sounds go with which pictures, and the other way round.

Variational associators, as in the artwork, are fitted directly from latents to latents. Flows need
a bridge first, which both directions share, then one flow and its pupil for each direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ytm_training.learn.batches import generator_for, seed_for
from ytm_training.learn.config import FlowSettings, VariationalSettings
from ytm_training.learn.labels import UNKNOWN, clusters_of, labels_of
from ytm_training.learn.run import Networks
from ytm_training.learn.stages import (
    BridgeStage,
    FlowStage,
    PupilStage,
    VariationalStage,
    pick_view,
)
from ytm_training.learn.teaching import Teaching
from ytm_training.models.associator import VariationalAssociator
from ytm_training.models.bridge import Bridge, Embedding
from ytm_training.models.flow import Flow, FlowAssociator

_LEAST_LESSONS = 1 << 14
_LESSONS_A_PAIR = 8
_BATCH = 2048


@dataclass(frozen=True)
class _Direction:
    """One way across: from the latents of one sense to those of the other."""

    name: str
    source: Tensor
    """(n, views, d)."""
    target: Tensor
    """(n, views, d)."""


def associate(teaching: Teaching, networks: Networks, seen: Tensor, heard: Tensor) -> None:
    """Fit both associators of `networks`.

    Args:
        teaching: whose rows to learn from.
        networks: their associators are fitted in place.
        seen: image latents (n, views, d).
        heard: sound latents (n, views, d).
    """
    settings = teaching.config.associator
    directions = (
        _Direction("image_to_sound", seen, heard),
        _Direction("sound_to_image", heard, seen),
    )
    if settings.kind == "variational":
        for way in directions:
            _fit_variational(teaching, settings, getattr(networks, way.name), way)
        return
    bridge = _fit_bridge(teaching, settings, seen, heard)
    for way, embedding in zip(directions, (bridge.seen, bridge.heard), strict=True):
        pupil: FlowAssociator = getattr(networks, way.name)
        pupil.embedding.load_state_dict(embedding.state_dict())
        _fit_flow(teaching, settings, pupil, way)


def _fit_variational(
    teaching: Teaching,
    settings: VariationalSettings,
    network: VariationalAssociator,
    way: _Direction,
) -> None:
    train, validation = teaching.train, teaching.validation
    network.standardise(way.source[train].flatten(0, 1), way.target[train, 0])
    teaching.fit(
        way.name,
        VariationalStage(network, settings.fit, teaching.config.seed),
        (way.source[train], way.target[train, 0]),
        (way.source[validation, 0], way.target[validation, 0]),
        pick_view,
    )


def _fit_bridge(teaching: Teaching, settings: FlowSettings, seen: Tensor, heard: Tensor) -> Bridge:
    train, validation = teaching.train, teaching.validation
    torch.manual_seed(seed_for(teaching.config.seed, "bridge", 0))
    bridge = Bridge(teaching.config.latent_size, settings.embedding_size)
    bridge.seen.scale.learn(seen[train].flatten(0, 1))
    bridge.heard.scale.learn(heard[train].flatten(0, 1))
    pairs = torch.stack([seen, heard], 2)  # (n, views, 2, d)
    labels = _labels(teaching, settings, seen[:, 0], heard[:, 0])
    teaching.fit(
        "bridge",
        BridgeStage(bridge, settings.bridge, teaching.config.seed, settings.label_share),
        (pairs[train], labels[train]),
        (pairs[validation, 0], labels[validation]),
        pick_view,
    )
    return bridge.eval()


def _labels(teaching: Teaching, settings: FlowSettings, seen: Tensor, heard: Tensor) -> Tensor:
    if settings.labels == "category":
        return labels_of(teaching.material.categories)
    if settings.labels == "clusters":
        return clusters_of(seen, heard, teaching.train, teaching.config.seed)
    return torch.full((len(seen),), UNKNOWN)


def _fit_flow(
    teaching: Teaching, settings: FlowSettings, pupil: FlowAssociator, way: _Direction
) -> None:
    """Fit a flow over the bridge, then the pupil that takes all its steps in one."""
    train, validation, seed = teaching.train, teaching.validation, teaching.config.seed
    pupil.target.learn(way.target[train, 0])
    pupil.learn_own_noise(way.source[train, 0], generator_for(seed, "own noise", 0))
    points = _embedded(pupil.embedding, way.source)
    answers = pupil.target(way.target)
    torch.manual_seed(seed_for(seed, f"{way.name}_flow", 0))
    flow = Flow(settings.shape(teaching.config.latent_size))
    both = torch.cat([points, answers], 2)  # (n, views, e + d)
    teaching.fit(
        f"{way.name}_flow",
        FlowStage(flow, settings.flow, seed, settings.blur),
        (both[train],),
        (both[validation, 0],),
        pick_view,
    )
    _fit_pupil(teaching, settings, pupil, way.name, flow, points)


def _fit_pupil(
    teaching: Teaching,
    settings: FlowSettings,
    pupil: FlowAssociator,
    name: str,
    flow: Flow,
    points: Tensor,
) -> None:
    train, validation, seed = teaching.train, teaching.validation, teaching.config.seed
    count = max(_LEAST_LESSONS, _LESSONS_A_PAIR * len(train))
    if teaching.is_done(name):
        count = 1  # nothing is learned from it
    teaching.fit(
        name,
        PupilStage(pupil, settings.fit, seed),
        _lessons(flow, settings, points[train], count, seed),
        _lessons(flow, settings, points[validation, :1], len(validation), seed + 1),
    )


@torch.no_grad()
def _embedded(embedding: Embedding, latents: Tensor) -> Tensor:
    """Latents (n, views, d) -> points of the bridge (n, views, e)."""
    points: Tensor = embedding.eval()(latents.flatten(0, 1))
    return points.reshape(*latents.shape[:2], -1)


def _lessons(
    flow: Flow, settings: FlowSettings, points: Tensor, count: int, seed: int
) -> tuple[Tensor, Tensor]:
    """What a pupil learns: noise and point (count, d + e), and where the flow goes (count, d)."""
    random = generator_for(seed, "lessons", 0)
    noise = torch.randn(count, flow.shape.latent_size, generator=random)
    all_points = points.flatten(0, 1)
    point = all_points[torch.randint(len(all_points), (count,), generator=random)]
    arrived = [
        flow.eval().arrive(start, there, settings.guidance, settings.steps)
        for start, there in zip(torch.split(noise, _BATCH), torch.split(point, _BATCH), strict=True)
    ]
    return torch.cat([noise, point], 1), torch.cat(arrived)
