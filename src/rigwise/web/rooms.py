"""The rooms of the page as a report shows them: for each the address it opens with, and the questions it then asks.

Questions are spelt as web/src/rooms spells them, for an answer is found by its question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from rigwise import api

Questions = list[tuple[str, dict[str, Any]]]
LAST = ("validation",)  # a minute of work: only where it is asked for
_IMAGE = "stripes:0:16"  # upright, so that its pictures pack well
_KERNELS = ["sobel-x", "gauss:3", "gabor:45:6"]
_LAYER = {"device": "h100-sxm-80gb", "batch": 32}
_WORK = "training-transformer"


def rooms(said: Mapping[str, Any]) -> dict[str, tuple[str, Questions]]:
    """Address and questions by room, all but the plan's. said: the request of `plan`."""
    model, cluster = str(said["model"]), api.load_cluster(said["cluster"])
    node = cluster.node
    many = f"{cluster.nodes}x" if cluster.nodes > 1 else ""
    wished = {"device": node.device.name, "count": node.count}
    wished |= {"machines": cluster.nodes} if many else {}
    picture = {"image": _IMAGE}
    laid = {**picture, "kernel": "sobel-x", "stride": 1, "padding": 1, "dilation": 1}
    return {
        "gpu": (_address("gpu", {"model": model}), [("advise", {"model": model}), ("chart", {"work": _WORK})]),
        "machine": (
            _address("machine", wished),
            [("rig", {"gpus": f"{many}{node.count}x{node.device.name}"})],
        ),
        "run": (_address("run", {}), [("runs", {})]),
        "convolution": (
            _address("convolution", {**picture, "kernels": "|".join(_KERNELS)}),
            [
                ("conv-pixel", laid),
                ("conv-features", {**picture, "kernels": _KERNELS, "border": "reflecting"}),
                ("conv-spectrum", picture),
                ("conv-map", {**_LAYER, "channels": 64, "which": "forward"}),
                ("conv-layers", {"model": "resnet50"}),
                ("conv-layer", {"model": "resnet50", "layer": _third("resnet50"), **_LAYER}),
            ],
        ),
        "parallel": (
            _address("parallel", {}),
            [("split", {"shape": "128x1000x500", "ranks": 2, "rate": "40 Gbit/s"})],
        ),
        "brain": (
            _address("brain", {}),
            [(f"brain-{verb}", {}) for verb in ("estimate", "forecast", "compare", "machines", "neuron")],
        ),
        "validation": (_address("validation", {}), [("validation", {})]),
    }


def _third(model: str) -> str:
    """The layer that the room shows first."""
    layers = api.conv_layers(model)
    return layers[min(2, len(layers) - 1)].name


def _address(room: str, said: Mapping[str, Any]) -> str:
    return f"#/{room}?{urlencode(said)}" if said else f"#/{room}"
