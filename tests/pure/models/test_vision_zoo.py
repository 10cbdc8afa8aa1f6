"""The vision and recurrent nets of the zoo have the parameters and multiply-adds that their sources print."""

from __future__ import annotations

import pytest

from rigwise.errors import UsageError
from rigwise.models import zoo
from rigwise.models.mobile import inverted

# Multiply-adds of one forward pass, in millions, as the literature and torchvision's model pages have them.
MULTIPLY_ADDS = {
    "alexnet": (710, 0.01),
    "overfeat": (2_800, 0.001),
    "vgg11": (7_610, 0.001),
    "vgg16": (15_470, 0.001),
    "vgg19": (19_630, 0.001),
    "googlenet": (1_580, 0.002),
    "googlenet-bn": (1_500, 0.002),
    "inception-v3": (5_710, 0.001),
    "resnet18": (1_814, 0.001),
    "resnet34": (3_664, 0.001),
    "resnet50": (4_089, 0.001),
    "resnet101": (7_801, 0.001),
    "resnet152": (11_514, 0.001),
    "resnet200": (15_000, 0.001),
    "resnext50": (4_230, 0.001),
    "resnext101": (8_000, 0.005),
    "wide-resnet50": (11_398, 0.001),
    "densenet121": (2_834, 0.001),
    "densenet161": (7_728, 0.001),
    "densenet201": (4_291, 0.001),
    "squeezenet": (349, 0.002),
    "mobilenet-v2": (301, 0.001),
    "mnasnet": (314, 0.002),
    "shufflenet-v2": (145, 0.005),
    "efficientnet-b0": (386, 0.002),
    "efficientnet-b4": (4_394, 0.001),
    "ssd300-resnet50": (20_200, 0.005),
}
FILES = {"convnet", "resnet", "mlp", "inception", "densenet", "mobile", "detection", "recurrent"}
NETS = [name for name in zoo.names() if str(zoo.entry(name)["builder"]).partition(":")[0] in FILES]


@pytest.mark.parametrize("name", NETS)
def test_parameters_are_the_published_ones(name: str) -> None:
    model, table = zoo.load(name), zoo.entry(name)
    published = table.get("published_parameters")
    assert model.parameters > 0
    if published is not None:
        assert model.parameters == pytest.approx(published, rel=table["parameters_tolerance"], abs=0)
    assert table["source"]


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_multiply_adds_are_the_published_ones(name: str) -> None:
    millions, tolerance = MULTIPLY_ADDS[name]
    assert zoo.load(name).flops / 2e6 == pytest.approx(millions, rel=tolerance)


@pytest.mark.parametrize("name", NETS)
def test_a_net_is_whole(name: str) -> None:
    model = zoo.load(name)
    roles = [block.role for block in model.blocks]
    assert roles[-1] == "last"
    assert len({block.name for block in model.blocks}) == len(roles)
    assert model.units == model.layers
    assert all(block.boundary > 0 for block in model.blocks)
    for operation, _ in model.operations():
        assert operation.flops >= 0
        assert operation.flops_backward <= 2 * operation.flops
        assert operation.saved >= 0
    assert model.flops < model.flops_backward <= 2 * model.flops


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet50", 173), ("densenet201", 398), ("ssd300-resnet50", 492)],
)
def test_elements_moved_beside_the_products(name: str, millions: float) -> None:
    """Element passes of one image, against an independent count by the same rules."""
    streams = [(o, n) for o, n in zoo.load(name).operations() if o.kind == "stream"]
    moved = sum((o.reads + o.writes + o.reads_backward + o.writes_backward) * n for o, n in streams)
    assert moved / 1e6 == pytest.approx(millions, rel=0.02)


def test_residual_blocks_of_a_stage_are_stored_once() -> None:
    model = zoo.load("resnet152")
    assert [(b.name, b.count) for b in model.blocks] == [
        ("stem", 1),
        ("layer1", 1),
        ("layer1/2", 2),
        ("layer2", 1),
        ("layer2/2", 7),
        ("layer3", 1),
        ("layer3/2", 35),
        ("layer4", 1),
        ("layer4/2", 2),
        ("head", 1),
    ]
    assert model.has_batch_norm


def test_the_stride_decides_what_the_two_forms_of_resnet_cost() -> None:
    new, old = zoo.load("resnet50"), zoo.load("resnet50-v1")
    assert new.parameters == old.parameters
    assert (old.flops / 2e9, new.flops / 2e9) == pytest.approx((3.86, 4.09), abs=0.005)


def test_alexnet_in_two_towers_has_its_groups() -> None:
    towers = zoo.load("alexnet-two-tower")
    groups = [o.conv.groups for o, _ in towers.operations() if o.conv is not None]
    assert groups == [1, 2, 1, 2, 2]
    dense = {o.split for o, _ in towers.operations() if o.kind == "linear"}
    assert dense == {"column", "row", "none"}


def test_auxiliary_classifiers_cost_more_parameters_than_work() -> None:
    plain, helped = zoo.load("googlenet"), zoo.load("googlenet-aux")
    assert helped.parameters / plain.parameters > 1.9
    assert helped.flops / plain.flops < 1.01


def test_ssd_has_its_8732_boxes() -> None:
    loss = zoo.load("ssd300-resnet50").blocks[-1].operations[-1]
    assert loss.writes == 8732 * 81


def test_mask_rcnn_shares_its_proposal_head_and_freezes_its_stem() -> None:
    model = zoo.load("mask-rcnn-r50-fpn-coco91")
    blocks = {block.name: block for block in model.blocks}
    assert blocks["proposals"].parameters == 590_080 + 771 + 3_084
    assert sum(o.kind == "conv" for o in blocks["proposals"].operations) == 15
    assert not any(o.trainable for o in blocks["stem"].operations)
    assert model.trainable_parameters == model.parameters - 9_408 - (73_728 + 2 * 69_632)
    assert not model.has_batch_norm


@pytest.mark.parametrize("wrong", [{"excite": "some"}, {"activation": "gelu"}, {"stages": [[1, 2, 3]]}])
def test_a_wrong_word_of_inverted_residuals(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="rule"):
        inverted(**({"stages": [[1, 16, 1, 1, 3]]} | wrong))  # type: ignore[arg-type]
