"""FLOPs of the transformer builder against torch's FlopCounterMode on networks written in plain torch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from rigwise.models.transformer import transformer  # noqa: E402

pytestmark = pytest.mark.torch

H, A, S, V = 48, 4, 16, 96


class Attention(nn.Module):
    """Multi-head or grouped attention, scores written out; across: keys and values come from other tokens."""

    def __init__(self, kv: int = A, d: int = H // A, bias: bool = True, across: bool = False) -> None:
        super().__init__()
        self.kv, self.d, self.across = kv, d, across
        self.q = nn.Linear(H, A * d, bias=bias)
        self.k = nn.Linear(H, kv * d, bias=bias)
        self.v = nn.Linear(H, kv * d, bias=bias)
        self.out = nn.Linear(A * d, H, bias=bias)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        source = x if memory is None else memory
        q = self.q(x).view(len(x), A, self.d).transpose(0, 1)
        k, v = (f(source).view(len(source), self.kv, self.d).transpose(0, 1) for f in (self.k, self.v))
        k, v = (t.repeat_interleave(A // self.kv, 0) for t in (k, v))
        weights = torch.softmax(q @ k.transpose(1, 2), -1)
        return self.out((weights @ v).transpose(0, 1).reshape(len(x), -1))


class Latent(nn.Module):
    """Multi-head latent attention with head parts 8 + 4 and values of 6."""

    def __init__(self) -> None:
        super().__init__()
        self.q_down, self.q_up = nn.Linear(H, 20, bias=False), nn.Linear(20, A * 12, bias=False)
        self.kv_down, self.kv_up = nn.Linear(H, 16 + 4, bias=False), nn.Linear(16, A * 14, bias=False)
        self.q_norm, self.kv_norm = nn.RMSNorm(20), nn.RMSNorm(16)
        self.out = nn.Linear(A * 6, H, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q = self.q_up(self.q_norm(self.q_down(x))).view(-1, A, 12).transpose(0, 1)
        latent, rotated = self.kv_down(x).split([16, 4], -1)
        k, v = self.kv_up(self.kv_norm(latent)).view(-1, A, 14).transpose(0, 1).split([8, 6], -1)
        k = torch.cat([k, rotated.expand(A, -1, -1)], -1)
        weights = torch.softmax(q @ k.transpose(1, 2), -1)
        return self.out((weights @ v).transpose(0, 1).reshape(len(x), -1))


class Feed(nn.Module):
    """Plain or gated feed-forward."""

    def __init__(self, f: int, gated: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(H, f, bias=bias), nn.Linear(f, H, bias=bias)
        self.gate = nn.Linear(H, f, bias=bias) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        up = self.up(x)
        return self.down(torch.nn.functional.silu(self.gate(x)) * up if self.gate else up.relu())


class Mixture(nn.Module):
    """A loop over experts, each given its even share of the tokens; one shared expert of width 24."""

    def __init__(self, experts: int, top_k: int, f: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(Feed(f, gated=True, bias=False) for _ in range(experts))
        self.router, self.shared = nn.Linear(H, experts, bias=False), Feed(24, gated=True, bias=False)
        self.top_k = top_k

    def forward(self, x: Tensor) -> Tensor:
        y = self.shared(x) + self.router(x).softmax(-1).sum(-1, keepdim=True) * x
        load = len(x) * self.top_k // len(self.experts)
        for i, expert in enumerate(self.experts):
            start = i * load % len(x)
            y = torch.cat([y[:start], y[start : start + load] + expert(x[start : start + load]), y[start + load :]])
        return y


class Layer(nn.Module):
    """Attention and feed-forward with residual sums."""

    def __init__(self, attention: nn.Module, feed: nn.Module, norm: type[nn.Module], cross: bool = False) -> None:
        super().__init__()
        self.attention, self.feed, self.norms = attention, feed, nn.ModuleList(norm(H) for _ in range(2 + cross))
        self.cross = Attention(across=True) if cross else None

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norms[0](x))
        if self.cross:
            x = x + self.cross(self.norms[2](x), memory)
        return x + self.feed(self.norms[1](x))


class Decoder(nn.Module):
    """Token table, layers, last norm, logits and their cross entropy."""

    def __init__(self, layers: list[nn.Module], norm: type[nn.Module], positions: bool) -> None:
        super().__init__()
        self.tokens, self.layers, self.norm = nn.Embedding(V, H), nn.ModuleList(layers), norm(H)
        self.positions = nn.Parameter(torch.empty(S, H)) if positions else None
        self.logits = nn.Linear(H, V, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens)
        x = x if self.positions is None else x + self.positions
        for layer in self.layers:
            x = layer(x)
        return nn.functional.cross_entropy(self.logits(self.norm(x)), tokens)


class EncoderDecoder(nn.Module):
    """A shared token table, two encoder layers over S tokens, one decoder layer over 8."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.logits = nn.Embedding(V, H), nn.Linear(H, V, bias=False)
        self.encoder = nn.Sequential(*(Layer(Attention(), Feed(4 * H), nn.LayerNorm) for _ in range(2)))
        self.decoder = Layer(Attention(), Feed(4 * H), nn.LayerNorm, cross=True)
        self.norms = nn.ModuleList([nn.LayerNorm(H), nn.LayerNorm(H)])

    def forward(self, tokens: Tensor) -> Tensor:
        memory = self.norms[0](self.encoder(self.tokens(tokens)))
        x = self.norms[1](self.decoder(self.tokens(tokens[:8]), memory))
        return nn.functional.cross_entropy(self.logits(x), tokens[:8])


class Vision(nn.Module):
    """Patches, class token, one layer, classes."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, H, 4, 4), nn.Parameter(torch.empty(1, H))
        self.positions = nn.Parameter(torch.empty(17, H))
        self.layer, self.norm, self.classes = (
            Layer(Attention(), Feed(4 * H), nn.LayerNorm),
            nn.LayerNorm(H),
            nn.Linear(H, 10),
        )

    def forward(self, image: Tensor) -> Tensor:
        x = torch.cat([self.token, self.patches(image)[0].flatten(1).T]) + self.positions
        return self.classes(self.norm(self.layer(x))[:1]).logsumexp(-1).sum()


class Bert(nn.Module):
    """One layer, the masked-word head on 5 of the tokens, pooler and next-sentence head."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions, self.segments = nn.Embedding(V, H), nn.Embedding(S, H), nn.Embedding(2, H)
        self.layer, self.norm = Layer(Attention(), Feed(4 * H), nn.LayerNorm), nn.LayerNorm(H)
        self.transform, self.transform_norm = nn.Linear(H, H), nn.LayerNorm(H)
        self.logits, self.pooler, self.next = nn.Linear(H, V), nn.Linear(H, H), nn.Linear(H, 2)
        self.logits.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.norm(self.tokens(tokens) + self.positions(tokens) + self.segments(tokens))
        x = self.layer(x)
        words = self.logits(self.transform_norm(nn.functional.gelu(self.transform(x[:5]))))
        sentence = self.next(self.pooler(x[:1]).tanh())
        return words.logsumexp(-1).sum() + sentence.logsumexp(-1).sum()


def gpt() -> nn.Module:
    """Two layers of GPT-2."""
    return Decoder([Layer(Attention(), Feed(4 * H), nn.LayerNorm) for _ in range(2)], nn.LayerNorm, positions=True)


def llama() -> nn.Module:
    """Two layers with grouped heads of a width of their own and a gate."""
    layers = [Layer(Attention(2, 20, False), Feed(80, True, False), nn.RMSNorm) for _ in range(2)]
    return Decoder(layers, nn.RMSNorm, positions=False)


def mixture() -> nn.Module:
    """A dense layer, then one of latent attention's kind with experts."""
    layers = [Layer(Latent(), Feed(64, True, False), nn.RMSNorm), Layer(Latent(), Mixture(4, 2, 32), nn.RMSNorm)]
    return Decoder(layers, nn.RMSNorm, positions=False)


_MODERN = {"vocab": V, "seq": S, "hidden": H, "heads": A, "norm": "rmsnorm", "gated": True, "bias": False}
_TEXT = {"vocab": V, "seq": S, "hidden": H, "heads": A, "flash": False}
_LATENT = {"head_dim": 8, "q_lora": 20, "kv_lora": 16, "rope_dim": 4, "value_dim": 6, "dense_layers": 1}
_BERT = {"positions": "learned", "segments": 2, "causal": False, "post_norm": True, "embedding_norm": True}
CASES = {
    "gpt": (gpt, {**_TEXT, "layers": 2, "positions": "learned"}),
    "llama": (llama, {**_MODERN, "layers": 2, "kv_heads": 2, "head_dim": 20, "ffn": 80, "flash": False}),
    "mixture": (
        mixture,
        _MODERN | _LATENT | {"layers": 2, "ffn": 64, "experts": 4, "top_k": 2, "expert_ffn": 32, "shared_ffn": 24},
    ),
    "encoder-decoder": (
        EncoderDecoder,
        {**_TEXT, "layers": 1, "encoder_layers": 2, "target_seq": 8, "positions": "sinusoidal"},
    ),
    "vision": (
        Vision,
        {
            "hidden": H,
            "heads": A,
            "layers": 1,
            "image": 16,
            "patch": 4,
            "positions": "learned",
            "causal": False,
            "head": "classifier",
            "classes": 10,
            "flash": False,
        },
    ),
    "bert": (Bert, {**_TEXT, **_BERT, "layers": 1, "head": "pretraining", "predicted": 5 / 16, "tied": True}),
}


@pytest.mark.parametrize("case", CASES)
def test_flops_and_parameters_are_torchs(case: str) -> None:
    make, arguments = CASES[case]
    with torch.device("meta"):
        network = make()
        data = torch.empty(1, 3, 16, 16) if case == "vision" else torch.empty(S, dtype=torch.long)
    with FlopCounterMode(display=False) as forward:
        loss = network(data)
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    model = transformer(**arguments)
    assert model.flops == forward.get_total_flops()
    assert model.flops_backward == backward.get_total_flops()
    assert model.parameters == sum(p.numel() for p in network.parameters())


def test_fused_attention_counts_what_the_written_out_one_does() -> None:
    arguments = {**_TEXT, "layers": 2, "positions": "learned"}
    fused, written = transformer(**arguments | {"flash": True}), transformer(**arguments)
    assert (fused.flops, fused.flops_backward) == (written.flops, written.flops_backward)
