"""Models from Hugging Face's config.json: a file, a bundled one, or one in the local cache; never the network.

Which field means what stands in huggingface.toml; what a field alone cannot say stands in the functions below.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from rigwise.errors import UsageError, not_found
from rigwise.models import zoo
from rigwise.models.model import Model

Config = dict[str, Any]

FOLDER = Path(__file__).parent
BUNDLED = FOLDER / "configs"
_BUILDER = "transformer:transformer"
_SAME = {"deepseek_v2": "deepseek_v3", "kimi_k2": "deepseek_v3"}


def named(spec: str, seq: int | None = None, **overrides: Any) -> Model:
    """The model `org/name` from a bundled or a cached config.json.

    Raises NotFoundError where there is neither, and says how to give a path.

    >>> named("openai-community/gpt2").parameters
    124439808.0
    """
    bundled = _bundled().get(spec.lower())
    path = bundled or _cached(spec)
    if path is None:
        hint = f"give the path of its config.json (it is not bundled, and not under {cache_folder()})"
        raise not_found("model", spec, _bundled(), hint=hint)
    model = from_config(path, seq, **overrides)
    return replace(model, name=spec, source=f"huggingface.co/{spec} config.json")


def from_config(path: Path, seq: int | None = None, **overrides: Any) -> Model:
    """The model that a config.json describes; overrides are arguments of the transformer builder.

    Raises UsageError for a file that is not JSON, lacks a field, or is of an unknown model_type.
    """
    config = read_json(path)
    arguments = {"builder": _BUILDER} | arguments_of(config, path) | overrides
    if seq is not None:
        arguments["seq"] = seq
    try:
        model = zoo.build(arguments, what=str(path))
    except UsageError as error:
        raise UsageError(f"{path}: {error.says}", rule=error.rule, nearest=error.nearest) from None
    name = path.resolve().parent.name if path.name == "config.json" and path.parent != BUNDLED else path.stem
    return replace(model, name=name, source=str(path))


def model_types() -> list[str]:
    """The values of model_type that can be read."""
    return sorted([name for name, table in _tables().items() if isinstance(table, dict)] + list(_SAME))


def read_json(path: Path) -> Config:
    """The object in a JSON file; a broken one is an error with its line."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        says = f"{path} is not JSON: line {error.lineno} column {error.colno}: {error.msg}"
        raise UsageError(says) from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    if not isinstance(config, dict):
        raise UsageError(f"{path} holds a {type(config).__name__}", rule="config.json is an object of named fields")
    return config


def arguments_of(config: Config, path: Path) -> Config:
    """The builder's arguments that a config means. path names the file in an error."""
    kind: Any = config.get("model_type")
    if kind is None:
        raise UsageError(f"{path} has no field 'model_type'", rule=f"known: {', '.join(model_types())}")
    table = _tables().get(_SAME.get(kind, kind)) if isinstance(kind, str) else None
    if not isinstance(table, dict):
        near = not_found("model_type", str(kind), model_types()).nearest
        raise UsageError(
            f"{path}: unknown model_type {kind!r}", rule=f"known: {', '.join(model_types())}", nearest=near
        )
    arguments = {key: value for key, value in table.items() if key != "read"}
    for argument, fields in table["read"].items():
        value = _read(config, fields, path)
        if value is not None:
            arguments[argument] = value
    arguments["dropout"] = _positive(arguments.get("dropout", 0), path)
    finish = _FINISH.get(_SAME.get(kind, kind))
    return _with_length(arguments | (_finished(finish, config, path) if finish else {}))


def _finished(finish: Callable[[Config, Path], Config], config: Config, path: Path) -> Config:
    try:
        return finish(config, path)
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path}: a field has the wrong type: {error}") from None


def _with_length(arguments: Config) -> Config:
    able = arguments.get("seq", arguments.get("max_positions"))
    if not isinstance(able, int) or "image" in arguments:
        return arguments
    return arguments | {"seq": min(able, _tables()["longest_seq"])}


def _read(config: Config, fields: str, path: Path) -> Any:
    """A field of the config by its spelling in huggingface.toml; None: the builder's default."""
    names, optional, default = fields.partition("?")
    for name in names.split("|"):
        value: Any = config
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            return value
    if not optional:
        raise UsageError(
            f"{path} has no field {names.replace('|', ' or ')!r}", rule=f"model_type {config['model_type']} needs it"
        )
    return json.loads(default) if default else None


def _positive(value: Any, path: Path) -> bool:
    if not isinstance(value, int | float):
        raise UsageError(f"{path}: a dropout of {value!r}", rule="dropout is a number")
    return value > 0


def _neox(config: Config, path: Path) -> Config:
    return {"parallel_norms": 2}


def _deepseek(config: Config, path: Path) -> Config:
    shared = (config.get("n_shared_experts") or 0) * config["moe_intermediate_size"]
    return {"shared_ffn": shared}


def _qwen_moe(config: Config, path: Path) -> Config:
    dense = config.get("mlp_only_layers") or []
    if dense != list(range(len(dense))):
        raise UsageError(f"{path}: mlp_only_layers {dense}", rule="only the first layers can stay dense")
    return {"dense_layers": len(dense)}


def _gpt_oss(config: Config, path: Path) -> Config:
    kinds = config.get("layer_types") or ["sliding_attention", "full_attention"]
    first_full = kinds.index("full_attention") + 1 if "full_attention" in kinds else 0
    return {"full_every": first_full}


def _bert(config: Config, path: Path) -> Config:
    heads = {"QuestionAnswering": "qa", "SequenceClassification": "classifier", "BertModel": "pooler"}
    named_by = " ".join(config.get("architectures") or [])
    head = next((head for word, head in heads.items() if word in named_by), "pretraining")
    classes = {"classes": _labels(config)} if head == "classifier" else {}
    return {"head": head, "tied": head == "pretraining"} | classes


def _vit(config: Config, path: Path) -> Config:
    return {"classes": _labels(config)}


def _labels(config: Config) -> int:
    """Classes of a classifier; two where the file names none, as the library has it."""
    return int(config.get("num_labels") or len(config.get("id2label") or ()) or 2)


def _t5(config: Config, path: Path) -> Config:
    return {"gated": str(config.get("feed_forward_proj", "relu")).startswith("gated")}


def _mpt(config: Config, path: Path) -> Config:
    attention = config.get("attn_config") or {}
    biased = not config.get("no_bias", True)
    alibi = {"positions": "alibi"} if attention.get("alibi", False) else {}
    ratio = config.get("expansion_ratio", 4)
    return {"bias": biased, "norm_bias": biased, "ffn": round(ratio * config["d_model"])} | alibi


def _falcon(config: Config, path: Path) -> Config:
    heads = config.get("num_attention_heads") or config.get("n_head")
    if config.get("new_decoder_architecture", False):
        norms = 1 if config.get("num_ln_in_parallel_attn") == 1 else 2
        return {"kv_heads": config.get("num_kv_heads") or heads, "parallel": True, "parallel_norms": norms}
    alibi = {"positions": "alibi"} if config.get("alibi", False) else {}
    return {"kv_heads": 1 if config.get("multi_query", True) else heads} | alibi


def _opt(config: Config, path: Path) -> Config:
    offset = 2  # the table keeps two rows before the first position
    rows = config["max_position_embeddings"]
    return {
        "post_norm": not config.get("do_layer_norm_before", True),
        "max_positions": rows + offset,
        "seq": rows,
    }


_FINISH: dict[str, Callable[[Config, Path], Config]] = {
    "gpt_neox": _neox,
    "deepseek_v3": _deepseek,
    "qwen2_moe": _qwen_moe,
    "qwen3_moe": _qwen_moe,
    "gpt_oss": _gpt_oss,
    "bert": _bert,
    "vit": _vit,
    "t5": _t5,
    "mpt": _mpt,
    "falcon": _falcon,
    "opt": _opt,
}


@cache
def _tables() -> Config:
    return tomllib.loads((FOLDER / "huggingface.toml").read_text(encoding="utf-8"))


@cache
def _bundled() -> dict[str, Path]:
    return {path.stem.replace("--", "/", 1).lower(): path for path in sorted(BUNDLED.glob("*.json"))}


def cache_folder() -> Path:
    """Where huggingface_hub keeps what it has fetched: HF_HUB_CACHE, or HF_HOME/hub, or ~/.cache/huggingface/hub."""
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"])
    home = os.environ.get("HF_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "huggingface") / "hub"


def _cached(spec: str) -> Path | None:
    """The config.json of the revision that `main` names, else of the newest snapshot."""
    folder = cache_folder() / f"models--{spec.replace('/', '--')}"
    main = folder / "refs" / "main"
    if main.is_file():
        path = folder / "snapshots" / main.read_text(encoding="utf-8").strip() / "config.json"
        if path.is_file():
            return path
    found = sorted(folder.glob("snapshots/*/config.json"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None
