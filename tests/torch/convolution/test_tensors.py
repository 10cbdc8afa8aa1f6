"""Convolution of tensors: torch's own result and gradients, by every algorithm, in every geometry."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.nn import functional as F

from convolutions import arrays, geometries, seeds
from rigwise.convolution import Conv, conv, geometry, operation, replace, run_pass
from rigwise.convolution.bounds import error_bound
from rigwise.convolution.counts import spectra_bytes
from rigwise.convolution.torch_kernels import choice, function, memory, passes
from rigwise.convolution.torch_kernels.function import apply, plan_for
from rigwise.errors import NotFoundError, UsageError


@pytest.fixture(autouse=True)
def _keeps_nothing(monkeypatch):
    monkeypatch.setenv("RIGWISE_CONVOLUTION_CACHE", "")


@pytest.mark.parametrize("name", passes.OWN)
@settings(max_examples=25)
@given(geometries(), seeds)
def test_every_pass_of_every_algorithm_is_direct(name, shape, seed):
    if passes.cannot(name, shape):
        return
    for which, (first, second) in arrays(shape, seed).items():
        exact = run_pass(which, "direct", first, second, shape)
        found = passes.run_pass(which, name, torch.from_numpy(first), torch.from_numpy(second), shape)
        bound = error_bound(name, which, shape) * np.linalg.norm(first) * np.linalg.norm(second)
        assert np.abs(found.numpy() - exact).max(initial=0.0) <= bound + 1e-13


@pytest.mark.parametrize("algorithm", ["auto", "model", *passes.NAMES])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("groups", "c", "k"), [(1, 3, 2), (4, 4, 4), (2, 4, 2)])
def test_gradients_are_torchs(algorithm, transposed, groups, c, k):
    torch.manual_seed(0)
    x = torch.randn(2, k if transposed else c, 11, 9, dtype=torch.float64, requires_grad=True)
    w = torch.randn(k, c // groups, 3, 3, dtype=torch.float64, requires_grad=True)
    b = torch.randn(c if transposed else k, dtype=torch.float64, requires_grad=True)
    own = F.conv_transpose2d if transposed else F.conv2d
    y = own(x, w, b, padding=1, groups=groups)
    g = torch.randn_like(y)
    expected = [y, *torch.autograd.grad(y, (x, w, b), g)]
    if algorithm in ("overlap-save", "overlap-dft"):
        with pytest.raises(UsageError, match="larger than the window"):
            conv(x, w, b, padding=1, groups=groups, algorithm=algorithm, transposed=transposed)
        return
    if algorithm == "plane":
        with pytest.raises(UsageError, match="one image of one channel"):
            conv(x, w, b, padding=1, groups=groups, algorithm=algorithm, transposed=transposed)
        return
    z = conv(x, w, b, padding=1, groups=groups, algorithm=algorithm, transposed=transposed)
    for found, wanted in zip([z, *torch.autograd.grad(z, (x, w, b), g)], expected):
        assert torch.allclose(found, wanted, atol=1e-9)


@pytest.mark.parametrize("algorithm", ["fft", "dft", "overlap-save", "overlap-dft"])
def test_windows_on_a_large_image(algorithm):
    x = torch.randn(1, 4, 230, 210, dtype=torch.float64, requires_grad=True)
    w = torch.randn(4, 1, 9, 7, dtype=torch.float64, requires_grad=True)
    y, z = F.conv2d(x, w, padding=(4, 3), groups=4), conv(x, w, padding=(4, 3), groups=4, algorithm=algorithm)
    g = torch.randn_like(y)
    assert torch.allclose(y, z)
    for a, b in zip(torch.autograd.grad(y, (x, w), g), torch.autograd.grad(z, (x, w), g)):
        assert torch.allclose(a, b)


def test_gradcheck():
    x = torch.randn(1, 2, 7, dtype=torch.float64, requires_grad=True)
    w = torch.randn(3, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: conv(a, b, padding="causal", algorithm="fft"), (x, w))


@pytest.mark.parametrize("algorithm", ["fft", "dft", "direct", "library-padded"])
@pytest.mark.parametrize("transposed", [False, True])
def test_gradients_have_gradients(algorithm, transposed):
    x = torch.randn(2, 4, 6, 5, dtype=torch.float64, requires_grad=True)
    w = torch.randn(4, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    b = torch.randn(2 * 2, dtype=torch.float64, requires_grad=True)
    how = {"padding": 1, "groups": 2, "algorithm": algorithm, "transposed": transposed}
    own = F.conv_transpose2d if transposed else F.conv2d
    seconds = []
    for y in (own(x, w, b, padding=1, groups=2), conv(x, w, b, **how)):
        first = torch.autograd.grad(y.square().sum(), (x, w), create_graph=True)
        seconds.append(torch.autograd.grad(sum(part.square().sum() for part in first), (x, w)))
    assert all(torch.allclose(a, c) for a, c in zip(*seconds))


def test_a_convolution_is_the_correlation_with_the_turned_kernel():
    x, w = torch.randn(1, 2, 8, 8), torch.randn(3, 2, 4, 4)
    assert torch.allclose(
        conv(x, w, padding="full", kind="convolution"), F.conv2d(x, w.flip(2, 3), padding=3), atol=1e-4
    )


@pytest.mark.parametrize("kind", ["convolution", "cross-correlation"])
@pytest.mark.parametrize("padding", ["full", "same", "valid"])
def test_a_plain_image_goes_through_numpys_transform(kind, padding):
    torch.manual_seed(0)
    x = torch.randn(1, 1, 17, 12, dtype=torch.float64, requires_grad=True)
    w = torch.randn(1, 1, 5, 4, dtype=torch.float64, requires_grad=True)
    plane, direct = (conv(x, w, padding=padding, kind=kind, algorithm=name) for name in ("plane", "direct"))
    assert torch.allclose(plane, direct, atol=1e-12)
    for found, wanted in zip(*(torch.autograd.grad(y.square().sum(), (x, w)) for y in (plane, direct))):
        assert torch.allclose(found, wanted, atol=1e-10)


def test_only_what_asks_for_a_gradient_gets_one():
    x, w = torch.randn(2, 3, 20, 20), torch.randn(3, 3, 9, 9, requires_grad=True)
    conv(x, w, algorithm="fft").sum().backward()
    assert x.grad is None
    assert w.grad is not None


def test_what_follows_may_write_to_the_output():
    x, w = torch.randn(1, 1, 9, 9, requires_grad=True), torch.randn(1, 1, 5, 5, requires_grad=True)
    for algorithm in passes.NAMES:
        if not passes.cannot(algorithm, plan_shape(x, w)):
            F.relu(conv(x, w, algorithm=algorithm), inplace=True).sum().backward()


def plan_shape(x, w):
    return geometry(x.shape, w.shape)


def test_spectra_are_counted_while_they_wait_and_given_back_after():
    before = memory.held_bytes()
    x, w = torch.randn(1, 4, 40, 40, requires_grad=True), torch.randn(4, 1, 21, 21, requires_grad=True)
    y = conv(x, w, padding=10, groups=4, algorithm="fft")
    shape = plan_shape_same(x, w)
    assert memory.held_bytes() - before == spectra_bytes(shape, 4)
    y.sum().backward()
    del y
    assert memory.held_bytes() == before


def plan_shape_same(x, w):
    return geometry(x.shape, w.shape, padding="same", groups=4)


def test_beyond_the_bound_spectra_are_made_again(monkeypatch):
    monkeypatch.setattr(memory, "MOST_BYTES", 0)
    before = memory.held_bytes()
    x, w = torch.randn(1, 2, 20, 20, requires_grad=True), torch.randn(2, 2, 9, 9, requires_grad=True)
    y = conv(x, w, algorithm="fft")
    assert memory.held_bytes() == before
    wanted = torch.autograd.grad(F.conv2d(x, w).sum(), (x, w))
    for a, b in zip(torch.autograd.grad(y.sum(), (x, w)), wanted):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-3)


def test_kernels_that_change_by_any_road_are_transformed_again():
    x, w = torch.randn(1, 2, 20, 20), torch.randn(2, 2, 9, 9)
    for change in (lambda: None, lambda: w.mul_(2), lambda: w.data.add_(1), lambda: None):
        change()
        assert torch.allclose(conv(x, w, algorithm="fft"), F.conv2d(x, w), rtol=1e-4, atol=1e-3)
    assert memory.KERNELS.bytes > 0
    memory.KERNELS.clear()


def test_the_layer_is_torchs_layer():
    torch.manual_seed(0)
    own = nn.Conv2d(4, 8, 9, padding="same", groups=2)
    ours = Conv(2, 4, 8, 9, padding="same", groups=2)
    ours.load_state_dict(own.state_dict())
    x = torch.randn(2, 4, 20, 20)
    assert torch.allclose(own(x), ours(x), atol=1e-5)
    assert torch.allclose(own(x[0]), ours(x[0]), atol=1e-5)
    assert "kernel_size=(9, 9)" in repr(ours)


def test_replace_swaps_where_it_pays_and_keeps_the_parameters():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 1),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Conv2d(8, 8, 31, padding=15, groups=8),
        nn.Conv2d(8, 8, 7, 2),
    )
    weights = [*net.parameters()]
    x = torch.randn(2, 3, 20, 20)
    expected = net(x)
    assert replace(net) == ["2"]
    assert all(a is b for a, b in zip(net.parameters(), weights))
    assert isinstance(net[2], Conv)
    assert torch.allclose(net(x), expected, atol=1e-5)


def test_small_layers_are_torchs_own_at_once_and_what_does_not_fit_is_still_refused():
    x, w = torch.randn(2, 4, 8, 8), torch.randn(4, 4, 3, 3)
    for _ in range(2):  # planned, then looked up
        assert torch.equal(conv(x, w, padding=1), F.conv2d(x, w, padding=1))
        with pytest.raises(UsageError):
            conv(x[:, :3], w, padding=1)
        with pytest.raises(UsageError):
            conv(x[0], w, padding=1)
        with pytest.raises(UsageError):
            conv(x, w, padding=1, output_padding=1)


def test_the_next_such_call_goes_straight_to_torchs_own(monkeypatch):
    monkeypatch.setattr(operation, "QUICK", {})
    monkeypatch.setattr(function, "QUICK", operation.QUICK)
    x, w = torch.randn(2, 3, 7, 7), torch.randn(4, 3, 3, 3)
    y = F.conv2d(x, w, padding=1)
    assert torch.equal(conv(x, w, padding=1), y)
    ((key, known),) = operation.QUICK.items()
    assert known[-1] is not None  # only a forward pass was asked for
    w.requires_grad_()
    assert torch.equal(conv(x, w, padding=1), y)
    assert operation.QUICK[key][-1] is None
    monkeypatch.setattr(operation, "_TENSORS", {torch.Tensor: None})  # the longer road would end here
    assert torch.autograd.grad(conv(x, w, padding=1).sum(), w)[0].shape == w.shape
    monkeypatch.undo()
    with pytest.raises(UsageError):
        conv(x, w.double(), padding=1)
    with pytest.raises(UsageError):
        conv(x, w, torch.zeros(2, 2), padding=1)


def test_what_was_timed_on_other_threads_is_looked_up_again(monkeypatch):
    monkeypatch.setattr(operation, "QUICK", {})
    monkeypatch.setattr(function, "QUICK", operation.QUICK)
    x, w = torch.randn(2, 3, 7, 7), torch.randn(4, 3, 3, 3)
    conv(x, w, stride=2)
    ((key, known),) = operation.QUICK.items()
    operation.QUICK[key] = (None, (), known[2], known[3] + 1, None)
    assert torch.equal(conv(x, w, stride=2), F.conv2d(x, w, stride=2))
    assert operation.QUICK[key] == known
    conv(x, w, stride=[2, 2])  # lists cannot be looked up
    assert len(operation.QUICK) == 1


def test_a_layer_remembers_by_shape_and_forgets_in_a_copy():
    layer, x = Conv(2, 4, 4, 3, padding="same"), torch.randn(2, 4, 8, 8)
    y = layer(x)
    assert len(layer._native) == 1
    assert torch.equal(layer(x), y)
    assert layer(x[:1, :, :5]).shape == (1, 4, 5, 8)
    assert len(layer._native) == 2
    again = deepcopy(layer)
    assert again._native == {}
    assert torch.equal(again(x), y)


def test_a_layer_of_small_kernels_is_torchs_own_for_every_input():
    layer, x = Conv(2, 4, 4, 3, padding=1), torch.randn(2, 4, 8, 8)
    assert torch.equal(layer(x), F.conv2d(x, layer.weight, layer.bias, padding=1))
    assert torch.allclose(layer(x[0]), layer(x)[0], atol=1e-6)
    with pytest.raises(UsageError):
        layer(x[:, :3])


def test_a_layer_used_twice_stays_one_layer():
    layer = nn.Conv2d(2, 2, 31, padding=15, groups=2)
    net = nn.ModuleList([layer, layer])
    replace(net)
    assert net[0] is net[1]
    assert isinstance(net[0], Conv)


def test_training_with_replaced_layers_has_the_same_losses():
    def losses(swap: bool) -> list[float]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(4, 4, 15, padding=7, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 144, 3))
        if swap:
            replace(net, algorithm="fft")
            assert isinstance(net[0], Conv)
        x, y = torch.randn(8, 4, 12, 12), torch.arange(8) % 3
        optimizer, found = torch.optim.SGD(net.parameters(), lr=0.05), []
        for _ in range(6):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    assert losses(True) == pytest.approx(losses(False), rel=1e-6)


def test_the_choice_is_remembered_in_the_file(tmp_path, monkeypatch):
    kept = tmp_path / "kept.json"
    monkeypatch.setenv("RIGWISE_CONVOLUTION_CACHE", str(kept))
    x, w = torch.randn(1, 1, 60, 60), torch.randn(1, 1, 25, 25)
    plan = plan_for(plan_shape(x, w), x, "auto", True)
    if plan.basis.startswith("timed"):
        assert kept.exists()
        monkeypatch.setattr(choice, "time_all", None)  # it must not be timed again
        assert plan_for(plan_shape(x, w), x, "auto", True) == plan
    assert torch.allclose(apply(x, w, None, plan, False), F.conv2d(x, w), rtol=1e-3, atol=1e-3)


def test_a_broken_file_is_as_good_as_none(tmp_path, monkeypatch):
    kept = tmp_path / "kept.json"
    kept.write_text('{"choices": [1, 2], "rates": 3')
    monkeypatch.setenv("RIGWISE_CONVOLUTION_CACHE", str(kept))
    x, w = torch.randn(1, 1, 30, 30), torch.randn(1, 1, 15, 15)
    assert torch.allclose(conv(x, w), F.conv2d(x, w), rtol=1e-3, atol=1e-3)


def test_strided_and_half_precision_are_left_to_torch():
    x, w = torch.randn(1, 1, 30, 30), torch.randn(1, 1, 15, 15)
    strided = geometry(x.shape, w.shape, stride=2)
    assert plan_for(strided, x, "auto", True).native is not None
    assert plan_for(plan_shape(x, w), x.bfloat16(), "auto", True).native is not None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"algorithm": "fftt"}, NotFoundError),
        ({"algorithm": "winograd-2"}, UsageError),
        ({"w": np.ones((1, 1, 5, 5))}, UsageError),
        ({"w": torch.ones(1, 1, 5, 5, dtype=torch.float64)}, UsageError),
        ({"padding": "reflect"}, UsageError),
        ({"output_padding": 1}, UsageError),
    ],
)
def test_what_does_not_fit_is_refused(change, error):
    given_ = {"x": torch.ones(1, 1, 9, 9), "w": torch.ones(1, 1, 5, 5), **change}
    with pytest.raises(error):
        conv(given_.pop("x"), given_.pop("w"), **given_)
