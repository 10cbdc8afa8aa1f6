"""What a transformer is: every switch that public models use, in one record.

Shape letters: s tokens of a sample, h hidden, a heads, d head size, f feed-forward, V vocabulary, L layers, E experts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from math import ceil
from typing import Literal, get_args

from rigwise.errors import UsageError
from rigwise.models.sizes import MOST_LAYERS

Positions = Literal["rotary", "learned", "sinusoidal", "alibi", "relative", "projected", "none"]
Norm = Literal["layernorm", "rmsnorm"]
Head = Literal["lm", "pretraining", "qa", "pooler", "classifier", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A transformer in numbers. Lengths in elements or tokens; what is None is worked out from the rest."""

    layers: int
    """Layers; of an encoder-decoder, those of its decoder."""
    hidden: int
    """Width h of the residual stream."""
    heads: int
    """Query heads a."""
    vocab: int = 0
    """Rows V of the token table; 0 for a model of images."""
    seq: int = 2048
    """Tokens s of a sample that is trained on."""
    name: str = "transformer"

    # attention
    kv_heads: int | None = None
    """Heads of keys and values: a multi-head, 1 multi-query, between them grouped."""
    head_dim: int | None = None
    """Width d of a head; h/a if not said."""
    causal: bool = True
    flash: bool = True
    """Fused attention, which never writes the s x s scores."""
    window: int | None = None
    """Tokens that a query sees in a layer with sliding-window attention."""
    full_every: int = 0
    """Every n-th layer sees all tokens although there is a window; 0: none does."""
    sinks: bool = False
    """A learned attention sink a head (GPT-OSS)."""
    qk_norm: bool = False
    """Norms of queries and keys head by head (Qwen 3)."""
    q_lora: int | None = None
    """Latent attention: width that queries are compressed to; None: they are not."""
    kv_lora: int | None = None
    """Latent attention: width that keys and values are compressed to; None: ordinary attention."""
    rope_dim: int = 64
    """Latent attention: part of a head's query and key that is rotated."""
    value_dim: int | None = None
    """Latent attention: width of a head's value; head_dim is then the part of a key that is not rotated."""
    memory: int = 0
    """Tokens of the segments before that keys and values reach back to (Transformer-XL)."""

    # feed-forward
    ffn: int | None = None
    """Width f; 4h if not said."""
    gated: bool = False
    """A gate beside the up projection (SwiGLU, GeGLU)."""
    experts: int = 0
    """Experts E of a mixture layer; 0: dense."""
    top_k: int = 0
    """Experts that a token is sent to."""
    expert_ffn: int | None = None
    """Width of one expert; f if not said."""
    shared_ffn: int = 0
    """Width of the experts that every token meets, taken together."""
    shared_gate: bool = False
    """A sigmoid gate on the shared experts (Qwen 2 MoE)."""
    dense_layers: int = 0
    """First layers that stay dense."""
    moe_every: int = 1
    """Every n-th layer is a mixture."""
    router_bias: bool = False

    # biases, norms, positions
    bias: bool = True
    """Biases in all linears of a layer."""
    qkv_bias: bool | None = None
    out_bias: bool | None = None
    ffn_bias: bool | None = None
    norm: Norm = "layernorm"
    norm_bias: bool = True
    """LayerNorm has a bias beside its scale."""
    norm_scale: bool = True
    post_norm: bool = False
    """Norm after the residual sum, and none at the end (the first transformers, BERT)."""
    parallel: bool = False
    """Attention and feed-forward side by side on one input (GPT-J, Falcon)."""
    parallel_norms: int = 1
    """Norms before the two parallel branches: 1 shared, or 2."""
    embedding_norm: bool = False
    positions: Positions = "rotary"
    max_positions: int | None = None
    """Rows of the learned position table; s if not said."""
    segments: int = 0
    """Rows of the segment table (BERT: 2)."""
    buckets: int = 32
    """Buckets of relative positions (T5)."""
    dropout: bool = False

    # ends
    tied: bool = False
    """The output projection is the token table."""
    embedding_dim: int | None = None
    """Width of the token table where it is not h (OPT 350M): a projection follows."""
    head: Head = "lm"
    head_bias: bool = False
    predicted: float = 1.0
    """Share of a sample's tokens at which the head is asked (BERT: 20 of 128, 80 of 512)."""
    classes: int = 0
    mtp: int = 0
    """Further tokens predicted by extra layers (DeepSeek-V3)."""
    vocab_multiple: int = 1
    """The token table is padded to a multiple of this (Megatron: 128 times the tensor-parallel degree)."""
    cutoffs: tuple[int, ...] = ()
    """Adaptive softmax: first rows of the clusters after the first."""
    cutoff_divisor: int = 1
    """Adaptive softmax: each cluster's vectors are this much narrower than those of the one before."""
    cutoff_shares: tuple[float, ...] = ()
    """Adaptive softmax: share of the tokens that falls in each cluster after the first."""

    # an encoder before the decoder
    encoder_layers: int = 0
    target_seq: int | None = None
    """Tokens that the decoder reads, where an encoder reads s; s if not said."""

    # images
    image: int = 0
    """Pixels of a square image's side; 0: text."""
    patch: int = 0
    channels: int = 3

    def __post_init__(self) -> None:
        """Refuse sizes that no network can have."""
        for field in fields(self):
            value = getattr(self, field.name)
            _check_type(field.name, str(field.type), value)
        for size in ("layers", "hidden", "heads", "seq", "vocab_multiple", "moe_every"):
            if getattr(self, size) < 1:
                raise UsageError(f"{size} = {getattr(self, size)}", rule=f"{size} is at least 1")
        if self.layers > MOST_LAYERS:
            raise UsageError(f"layers = {self.layers}", rule=f"layers is at most {MOST_LAYERS:,}")
        self._check_heads()
        self._check_ends()

    def _check_heads(self) -> None:
        if self.head_dim is None and self.hidden % self.heads:
            raise UsageError(
                f"hidden {self.hidden} is not a multiple of heads {self.heads}",
                rule="a head is hidden/heads wide unless head_dim says otherwise",
                nearest=f"hidden {ceil(self.hidden / self.heads) * self.heads}",
            )
        if self.kv < 1 or self.heads % self.kv:
            raise UsageError(f"{self.heads} heads share {self.kv} kv_heads", rule="kv_heads divides heads")
        if self.experts and not 1 <= self.top_k <= self.experts:
            raise UsageError(f"top_k {self.top_k} of {self.experts} experts", rule="1 <= top_k <= experts")

    def _check_ends(self) -> None:
        if self.positions == "learned" and not self.image and self.seq > self.rows_of_positions:
            raise UsageError(
                f"seq {self.seq} is longer than the table of {self.rows_of_positions} learned positions",
                rule="seq <= max_positions",
                nearest=f"seq {self.rows_of_positions}, or max_positions {self.seq}",
            )
        if self.image and (not self.patch or self.image % self.patch):
            raise UsageError(f"image {self.image}, patch {self.patch}", rule="patch divides image")
        if not self.image and self.vocab < 1:
            raise UsageError(f"vocab = {self.vocab}", rule="a model of text has a vocabulary")
        edges = (0, *self.cutoffs, self.vocab)
        if not 0 < self.predicted <= 1:
            raise UsageError(f"predicted = {self.predicted}", rule="a share of the tokens, above 0 and at most 1")
        if self.cutoffs and any(low >= high for low, high in pairwise(edges)):
            raise UsageError(f"cutoffs {self.cutoffs} of {self.vocab} rows", rule="cutoffs rise and stay below vocab")
        if len(self.cutoffs) != len(self.cutoff_shares) or sum(self.cutoff_shares) > 1:
            says = f"{len(self.cutoffs)} cutoffs, shares {self.cutoff_shares}"
            raise UsageError(says, rule="one share a cutoff, together at most 1")
        if self.head == "classifier" and self.classes < 1:
            raise UsageError(f"classes = {self.classes}", rule="a classifier has at least one class")

    @property
    def kv(self) -> int:
        """Heads of keys and values."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def d(self) -> int:
        """Width of a head (of latent attention: without its rotated part)."""
        return self.hidden // self.heads if self.head_dim is None else self.head_dim

    @property
    def f(self) -> int:
        """Width of the dense feed-forward."""
        return 4 * self.hidden if self.ffn is None else self.ffn

    @property
    def expert_f(self) -> int:
        """Width of one expert."""
        return self.f if self.expert_ffn is None else self.expert_ffn

    @property
    def rows(self) -> int:
        """Rows of the token table, padded."""
        return ceil(self.vocab / self.vocab_multiple) * self.vocab_multiple

    @property
    def rows_of_positions(self) -> int:
        """Rows of the learned position table."""
        return self.seq if self.max_positions is None else self.max_positions

    @property
    def length(self) -> int:
        """Tokens that pass the layers: of an image its patches and the class token."""
        return (self.image // self.patch) ** 2 + 1 if self.image else self.seq

    def norm_width(self, width: int) -> int:
        """Parameters of one norm of any width."""
        return width * (self.norm_scale + (self.norm == "layernorm" and self.norm_bias))

    def is_mixture(self, layer: int) -> bool:
        """Whether a layer, counted from 0, is a mixture of experts."""
        return bool(self.experts) and layer >= self.dense_layers and (layer + 1) % self.moe_every == 0

    def window_of(self, layer: int) -> int | None:
        """Tokens that a query of a layer sees, None for all; layers counted from 0."""
        full = self.full_every and (layer + 1) % self.full_every == 0
        return None if full else self.window


_WORDS = {"Positions": get_args(Positions), "Head": get_args(Head), "Norm": get_args(Norm)}


def _check_type(name: str, annotation: str, value: object) -> None:
    """Refuse a value that is not of its field's type: these come from files."""
    if value is None and "None" in annotation:
        return
    if annotation.startswith("int"):
        rule = (
            ""
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0
            else "a whole number, not negative"
        )
    elif annotation == "float":
        rule = "" if isinstance(value, int | float) and not isinstance(value, bool) else "a number"
    elif annotation.startswith("bool"):
        rule = "" if isinstance(value, bool) else "true or false"
    else:
        words = _WORDS.get(annotation, ())
        rule = "" if not words or value in words else f"one of {', '.join(words)}"
    if rule:
        raise UsageError(f"{name} = {value!r}", rule=f"{name} is {rule}")
