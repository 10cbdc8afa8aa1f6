"""Fine-tuning with fewer weights."""

from __future__ import annotations

import pytest

from rigwise.errors import UsageError
from rigwise.models import zoo
from rigwise.models.adapt import NF4_BITS, adapt

LLAMA = zoo.load("llama-2-7b", seq=512)


@pytest.mark.parametrize(
    ("targets", "rank", "trainable"),
    [
        (["qkv", "out"], 8, 8_388_608),  # q, k, v, o of 4096 x 4096
        (None, 8, 19_988_480),  # all seven linears
        (None, 16, 39_976_960),
    ],
)
def test_trainable_parameters_are_those_of_the_usual_library(
    targets: list[str] | None, rank: int, trainable: int
) -> None:
    """As printed by PEFT's print_trainable_parameters for Llama-2-7B."""
    model = adapt(LLAMA, "lora", rank=rank, targets=targets)
    assert model.trainable_parameters == trainable
    assert model.parameters == LLAMA.parameters + trainable


def test_a_frozen_linear_has_one_product_backward() -> None:
    model = adapt(LLAMA, "lora", rank=8, targets=["qkv"])
    for operation, _ in model.operations():
        if operation.kind != "linear":
            continue
        assert operation.flops_backward == operation.flops * (2 if operation.trainable else 1)
        assert operation.saved == (operation.m * operation.k if operation.trainable else 0)


def test_lora_keeps_less_and_works_less() -> None:
    model = adapt(LLAMA, "lora", rank=8)
    assert model.flops_backward < 0.6 * LLAMA.flops_backward
    assert LLAMA.flops < model.flops < 1.02 * LLAMA.flops


def test_qlora_stores_the_layers_in_four_bits() -> None:
    model = adapt(LLAMA, "qlora", rank=8)
    quantised = [(o, n) for o, n in model.operations() if o.weight_bits]
    assert {o.weight_bits for o, _ in quantised} == {NF4_BITS}
    assert sum(o.parameters * n for o, n in quantised) == 32 * (4 * 4096**2 + 3 * 4096 * 11008)
    assert not any(o.weight_bits for b in model.blocks if b.role != "layer" for o in b.operations)


def test_a_branch_beside_the_head_and_its_packing() -> None:
    model = adapt(LLAMA, "qlora", rank=8, head=True, pack_head=True, bits=4.5)
    head = next(o for o in model.blocks[-1].operations if o.name == "logits")
    assert (head.trainable, head.weight_bits) == (False, 4.5)
    plain = adapt(LLAMA, "qlora", rank=8)
    assert model.trainable_parameters - plain.trainable_parameters == 8 * (4096 + 32000)
    unpacked = adapt(LLAMA, "lora", rank=8, head=True, pack_head=True)
    assert not any(o.weight_bits for o, _ in unpacked.operations())


def test_ends_can_be_trained_besides() -> None:
    alone, ends = adapt(LLAMA, "lora", rank=8), adapt(LLAMA, "lora", rank=8, train_ends=True)
    assert ends.trainable_parameters - alone.trainable_parameters == 2 * 32000 * 4096 + 4096


def test_experts_get_a_branch_each() -> None:
    mixture = zoo.load("mixtral-8x7b", layers=1)
    model = adapt(mixture, "lora", rank=4, targets=["experts_up"])
    assert model.trainable_parameters == 8 * 2 * 4 * (4096 + 14336)


@pytest.mark.parametrize("unfrozen", [0, 3, 12])
def test_freezing_from_the_front(unfrozen: int) -> None:
    gpt = zoo.load("gpt2", tied=False)
    model = adapt(gpt, "frozen", unfrozen=unfrozen)
    _, layer, head = (block.parameters for block in gpt.blocks)
    assert model.trainable_parameters == unfrozen * layer + head
    assert model.parameters == gpt.parameters
    assert model.units == 12
    assert model.flops == gpt.flops
    assert model.flops_backward == unfrozen * gpt.blocks[1].flops_backward + gpt.blocks[2].flops_backward


def test_full_changes_nothing() -> None:
    assert adapt(LLAMA, "full") is LLAMA


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "dora"}, "one of full, lora"),
        ({"kind": "lora", "rank": 0}, "at least 1"),
        ({"kind": "lora", "targets": ["qkw"]}, "qkw.*among.*qkv"),
        ({"kind": "frozen", "unfrozen": 33}, "between 0 and the 32"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        adapt(LLAMA, **arguments)
