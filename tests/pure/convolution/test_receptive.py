"""Receptive fields: those that others published, and a walk that guesses wires as well as one that knows them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rigwise import api
from rigwise.convolution.receptive import layer_called, layers
from rigwise.errors import NotFoundError, UsageError

# Behind the last layer that looks around; Araujo, Norris and Sim 2019, Table 1 (their figures: behind the last pooling
# of AlexNet and VGG, whose windows add 32 and 16).
PUBLISHED = {"alexnet": 195 - 32, "vgg16": 212 - 16, "resnet50-v1": 483, "inception-v3": 1311}


@pytest.mark.parametrize(("name", "field"), PUBLISHED.items())
def test_published_fields(name: str, field: int) -> None:
    found = layers(api.load_model(name))
    assert max(max(layer.last.field) for layer in found if layer.last) == field
    assert all(layer.last is None or layer.last.exact for layer in found)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50", "resnet50-v1", "mobilenet-v2", "squeezenet1.1"])
def test_guessed_wires_agree_with_known_ones_where_a_network_is_a_chain_of_blocks(name: str) -> None:
    model = api.load_model(name)
    known, guessed = layers(model), layers(replace(model, reaches=()))
    assert [a.last.jump for a in known if a.last] == [b.last.jump for b in guessed if b.last]


def test_a_traced_network_knows_its_poolings() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    found = layers(api.load_model("digits"))
    assert [layer.last.field for layer in found] == [(3, 3), (5, 5), (10, 10)]  # 5, pooled to 6, and 2 x 2 more
    assert all(layer.last.exact for layer in found)


def test_layers_are_called_by_name_part_or_number() -> None:
    found = layers(api.load_model("resnet50"))
    assert layer_called(found, "layer2/2.conv2").name == "layer2/2.conv2"
    assert layer_called(found, "stem").name == "stem.conv1"
    assert layer_called(found, "1").name == "stem.conv1"
    with pytest.raises(NotFoundError, match="a part of"):
        layer_called(found, "conv2")
    with pytest.raises(NotFoundError):
        layer_called(found, "nothing like it")


def test_a_model_without_convolutions_says_so() -> None:
    with pytest.raises(UsageError, match="has no convolution"):
        layers(api.load_model("gpt2"))
