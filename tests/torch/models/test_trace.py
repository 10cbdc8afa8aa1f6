"""A traced module has the FLOPs of torch's own counter, the parameters it lists and the tensors autograd keeps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from rigwise.errors import UsageError  # noqa: E402
from rigwise.models.model import Model  # noqa: E402
from rigwise.models.trace import trace_module  # noqa: E402

pytestmark = pytest.mark.torch
BATCH = 4


class Residual(nn.Module):
    """A residual block with a strided way around it."""

    def __init__(self, c: int, k: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c, k, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(k)
        self.conv2 = nn.Conv2d(k, k, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(k)
        self.around = nn.Sequential(nn.Conv2d(c, k, 1, stride=stride, bias=False), nn.BatchNorm2d(k))

    def forward(self, x: Any) -> Any:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(y)) + self.around(x), inplace=True)


class Recurrent(nn.Module):
    """The output of the last step of an LSTM, classified."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.cells = nn.LSTM(12, 16, batch_first=True, **options)
        self.head = nn.Linear(16 * (1 + self.cells.bidirectional), 5)

    def forward(self, x: Any) -> Any:
        return self.head(self.cells(x)[0][:, -1])


class Tied(nn.Module):
    """A language model whose embedding is its output projection."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 16)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True) for _ in range(3))
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x: Any) -> Any:
        x = self.table(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def residual_net() -> nn.Module:
    stem = nn.Sequential(nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
    blocks = nn.Sequential(Residual(8, 8, 1), Residual(8, 16, 2), Residual(16, 16, 1), Residual(16, 16, 1))
    return nn.Sequential(stem, nn.MaxPool2d(3, 2, 1), blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Dropout(0.1), nn.Linear(30, 30), nn.GELU(), nn.Linear(30, 7))


def attention() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 3)


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (mlp, (20,)),
    "mlp-on-rows": (mlp, (6, 20)),
    "resnet": (residual_net, (3, 32, 32)),
    "encoder": (attention, (11, 32)),
    "decoder": (lambda: nn.TransformerDecoderLayer(32, 4, 64, batch_first=True), (11, 32)),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(4, 8, 5, dilation=2), nn.Conv1d(8, 8, 3, padding=1)), (4, 40)),
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.Conv3d(4, 4, (1, 2, 3))), (2, 5, 6, 7)),
    "transposed": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1), nn.ConvTranspose2d(4, 2, 2)
        ),
        (3, 8, 8),
    ),
    "lstm": (Recurrent, (7, 12)),
    "lstm-deep": (lambda: Recurrent(num_layers=2, bidirectional=True), (5, 12)),
    "bilinear": (lambda: nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Softmax(-1), nn.Linear(6, 1)), (3, 6)),
}


class Groups(nn.Module):
    """A convolution in groups, as one convolution a group: torch's counter takes the weight gradient of groups > 1 for
    a full one (2.13), so that it can only judge this form.
    """

    def __init__(self, kind: type[nn.Module], c: int, k: int, groups: int, *args: Any, **options: Any) -> None:
        super().__init__()
        made = [kind(c // groups, k // groups, *args, **options) for _ in range(groups)]
        self.parts = nn.ModuleList(made)

    def forward(self, x: Any) -> Any:
        pieces = x.chunk(len(self.parts), 1)
        return torch.cat([part(piece) for part, piece in zip(self.parts, pieces, strict=True)], 1)


@pytest.mark.parametrize(
    ("kind", "c", "k", "groups", "kernel", "options"),
    [
        (nn.Conv2d, 8, 8, 8, 3, {}),
        (nn.Conv2d, 8, 12, 4, 3, {"stride": 2}),
        (nn.Conv2d, 8, 4, 2, (1, 3), {"bias": False}),
        (nn.ConvTranspose2d, 6, 4, 2, 4, {"stride": 2, "padding": 1, "output_padding": 1}),
    ],
)
def test_groups_cost_what_their_parts_cost(
    kind: type[nn.Module], c: int, k: int, groups: int, kernel: Any, options: dict[str, Any]
) -> None:
    x = torch.empty(BATCH, c, 9, 11, device="meta", requires_grad=True)
    with torch.device("meta"):
        module, parts = kind(c, k, kernel, groups=groups, **options), Groups(kind, c, k, groups, kernel, **options)
    head, tail = nn.Conv2d(c, c, 1, device="meta"), nn.Conv2d(k, 3, 1, device="meta")
    model = trace_module(nn.Sequential(head, module, tail), x.detach())
    assert (model.flops, model.flops_backward) == counted(nn.Sequential(head, parts, tail), x.detach())
    grouped = next(o for o, _ in model.operations() if o.conv is not None and o.conv.groups == groups)
    assert grouped.writes == module(x)[0].numel()


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build()


def call(module: nn.Module, x: Any) -> Any:
    return module(x, x) if isinstance(module, nn.TransformerDecoderLayer) else module(x)


def counted(module: nn.Module, x: Any) -> tuple[float, float]:
    """FLOPs forward and backward by torch's own counter, for one sample."""
    with FlopCounterMode(display=False) as forward:
        out = call(module, x)
    with FlopCounterMode(display=False) as backward:
        out.sum().backward()
    return forward.get_total_flops() / len(x), backward.get_total_flops() / len(x)


def traced(module: nn.Module, x: Any) -> Model:
    return trace_module(module, (x, x) if isinstance(module, nn.TransformerDecoderLayer) else x)


@pytest.mark.parametrize("case", MODULES)
def test_flops_and_parameters_are_torchs(case: str) -> None:
    build, shape = MODULES[case]
    module, x = on_meta(build), torch.empty(BATCH, *shape, device="meta")
    model = traced(module, x)
    assert (model.flops, model.flops_backward) == counted(module, x)
    assert model.parameters == sum(p.numel() for p in module.parameters()) == model.trainable_parameters


@pytest.mark.parametrize("case", MODULES)
def test_the_batch_changes_nothing_that_grows_with_samples(case: str) -> None:
    build, shape = MODULES[case]
    two, four = (traced(on_meta(build), torch.empty(n, *shape, device="meta")) for n in (2, 4))
    assert (two.flops, two.flops_backward, two.parameters) == (four.flops, four.flops_backward, four.parameters)
    assert [(b.count, b.boundary) for b in two.blocks] == [(b.count, b.boundary) for b in four.blocks]
    saved = [sum(o.saved * n for o, n in model.operations()) for model in (two, four)]
    assert saved[0] == pytest.approx(saved[1], rel=0.05)  # batch statistics are shared by more samples


def kept_by_autograd(module: nn.Module, x: Any) -> float:
    """Elements of all tensors that autograd keeps in a real run, each storage once, parameters apart."""
    seen = {p.untyped_storage().data_ptr() for p in [*module.parameters(), *module.buffers()]}
    kept: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = module(x)
    floats = [t for key, t in kept.items() if key not in seen and t.is_floating_point()]
    del out
    return sum(t.untyped_storage().nbytes() / 4 for t in floats) / len(x)


@pytest.mark.parametrize("case", ["resnet", "transposed", "conv3d", "bilinear"])
def test_what_is_kept_is_what_autograd_keeps(case: str) -> None:
    build, shape = MODULES[case]
    model = traced(on_meta(build), torch.empty(BATCH, *shape, device="meta"))
    real = kept_by_autograd(build(), torch.randn(BATCH, *shape))
    assert sum(o.saved * n for o, n in model.operations()) == pytest.approx(real, rel=1e-6)


def test_equal_layers_are_stored_once() -> None:
    model = trace_module(on_meta(Tied), torch.zeros(2, 9, dtype=torch.long))
    assert [(block.name, block.count, block.role) for block in model.blocks] == [
        ("table", 1, "first"),
        ("layers.0", 3, "layer"),
        ("head", 1, "last"),
    ]
    assert (model.unit, model.tokens, model.heads, model.hidden, model.vocab) == ("token", 9, 4, 16, 50)
    assert all(block.boundary == 9 * 16 for block in model.blocks[:2])


def test_a_tied_matrix_counts_once() -> None:
    module = on_meta(Tied)
    model = trace_module(module, torch.zeros(2, 9, dtype=torch.long))
    assert model.tied == 50 * 16
    assert model.parameters == sum(p.numel() for p in module.parameters())


def test_a_transformer_layer_is_tagged_for_tensor_parallelism() -> None:
    model = trace_module(on_meta(attention), torch.empty(2, 11, 32, device="meta"))
    splits = {o.name: o.split for o in model.blocks[0].operations if o.kind in ("linear", "attention")}
    assert splits == {
        "self_attn": "column",
        "self_attn/2": "heads",
        "self_attn/3": "row",
        "linear1": "column",
        "linear2": "row",
    }


def test_frozen_layers_have_no_gradient_and_keep_nothing() -> None:
    module = on_meta(mlp)
    for p in module[0].parameters():
        p.requires_grad_(False)
    x = torch.empty(BATCH, 20, device="meta")
    model = trace_module(module, x)
    first = model.blocks[0].operations[0]
    assert not first.trainable
    assert not first.input_gradient
    assert (first.flops_backward, first.saved) == (0.0, 0.0)
    assert model.trainable_parameters == sum(p.numel() for p in module.parameters() if p.requires_grad)
    assert (model.flops, model.flops_backward) == counted(module, x)


def test_a_trainable_bias_beside_a_frozen_matrix_is_kept_apart() -> None:
    module = on_meta(mlp)
    module[3].weight.requires_grad_(False)
    model = trace_module(module, torch.empty(BATCH, 20, device="meta"))
    assert model.parameters == sum(p.numel() for p in module.parameters())
    assert model.trainable_parameters == model.parameters - 30 * 30


def test_time_steps_of_a_cell_are_one_operation() -> None:
    model = trace_module(on_meta(Recurrent), torch.empty(BATCH, 7, 12, device="meta"))
    steps = {o.steps for o, _ in model.operations() if o.kind == "linear" and o.k == 16 and o.n == 64}
    assert steps == {7}


def test_the_module_is_left_as_it_was() -> None:
    module = residual_net().eval()
    before = copy.deepcopy(module.state_dict())
    trace_module(module, torch.randn(2, 3, 32, 32))
    assert not module.training
    assert all(p.grad is None and p.device.type == "cpu" for p in module.parameters())
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert not module._forward_hooks


def test_the_loss_is_the_last_block_and_unused_parameters_are_held() -> None:
    module = on_meta(mlp)
    module.register_parameter("idle", nn.Parameter(torch.empty(3, 5, device="meta")))
    target = torch.zeros(BATCH, dtype=torch.long)
    model = trace_module(module, torch.empty(BATCH, 20, device="meta"), loss=F.cross_entropy, target=target)
    assert (model.blocks[-1].name, model.blocks[-1].role) == ("loss", "last")
    assert "idle (unused)" in [o.name for o in model.blocks[-1].operations]
    assert model.parameters == sum(p.numel() for p in module.parameters())
    assert model.input_bytes == 4 * 20 + 8


def test_batch_norm_is_noticed_and_read_twice() -> None:
    x = torch.empty(2, 3, 32, 32, device="meta")
    model = trace_module(on_meta(residual_net), x)
    assert model.has_batch_norm
    assert not trace_module(on_meta(mlp), input_shape=(20,)).has_batch_norm
    norm = next(o for o in model.blocks[0].operations + model.blocks[1].operations if "batch_norm" in o.name)
    assert norm.reads == 2 * 8 * 16 * 16
    assert norm.reads_backward == pytest.approx(4 * 8 * 16 * 16, rel=0.01)  # and the statistics of the batch


@pytest.mark.parametrize("inputs", [torch.tensor(1.0), torch.empty(0, 20), ()])
def test_inputs_without_samples_are_refused(inputs: Any) -> None:
    with pytest.raises(UsageError, match="without samples"):
        trace_module(on_meta(mlp), inputs)


class Odd(nn.Module):
    """Operations that no law knows by name."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(12))

    def forward(self, x: Any) -> Any:
        return torch.fft.rfft(x.cumsum(-1) * self.scale).abs().sort(-1).values


def test_an_operation_that_no_law_knows_is_a_stream_of_its_tensors() -> None:
    model = trace_module(on_meta(Odd), torch.empty(BATCH, 12, device="meta"))
    made = {o.name: o for o, _ in model.operations()}
    assert (made["cumsum"].kind, made["cumsum"].reads, made["cumsum"].writes) == ("stream", 12, 12)
    assert made["_fft_r2c"].writes == 2 * 7  # complex numbers
    assert made["sort"].writes >= 7
    assert model.flops == 0


def test_amounts_of_half_precision_are_the_same_elements() -> None:
    x = torch.empty(BATCH, 20, device="meta")
    single, half = trace_module(on_meta(mlp), x), trace_module(on_meta(mlp).bfloat16(), x.bfloat16())
    for one, other in zip(single.operations(), half.operations(), strict=True):
        assert (one[0].reads, one[0].writes, one[0].saved) == (other[0].reads, other[0].writes, other[0].saved)


def test_a_module_without_parameters_is_refused() -> None:
    with pytest.raises(UsageError, match="no parameters"):
        trace_module(nn.ReLU(), torch.empty(2, 3))
