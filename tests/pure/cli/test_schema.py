"""The JSON that others read: the fields, their units, and that the parts add up to the whole."""

from __future__ import annotations

import pytest

ESTIMATE = {
    "layout",
    "step_s",
    "interval",
    "samples_per_s",
    "tokens_per_s_per_device",
    "mfu",
    "memory_gib",
    "time_s",
    "energy_j",
    "cost_usd",
    "basis",
}
PLAN = ("plan", "gpt3-175b", "--cluster", "64xa100-sxm-80gb", "--batch", "64", "--seq", "2048", "--top", "4")
LAYOUT = {"dp", "tp", "pp", "vpp", "cp", "ep", "zero", "micro", "recompute", "sp", "compress"}


def test_plan_has_the_fields_of_the_contract(call) -> None:
    plan = call(*PLAN, "--json").json
    assert {"model", "cluster", "layouts"} <= set(plan)
    assert (plan["model"], plan["cluster"], plan["batch"], plan["seq"]) == ("gpt3-175b", "64xa100-sxm-80gb", 64, 2048)
    assert len(plan["layouts"]) == 4
    for row in plan["layouts"]:
        assert set(row) >= ESTIMATE
        assert set(row["layout"]) >= LAYOUT


def test_plan_is_ranked_and_every_layout_fits_and_adds_up(call) -> None:
    plan = call(*PLAN, "--json").json
    steps = [row["step_s"] for row in plan["layouts"]]
    assert steps == sorted(steps)
    for row in plan["layouts"]:
        degrees = row["layout"]
        assert degrees["dp"] * degrees["tp"] * degrees["pp"] * degrees["cp"] == 64
        assert sum(row["time_s"].values()) == pytest.approx(row["step_s"])
        memory = dict(row["memory_gib"])
        total, limit = memory.pop("total"), memory.pop("limit")
        assert sum(memory.values()) == pytest.approx(total)
        assert total <= limit == 80
        assert row["interval"][0] < row["step_s"] < row["interval"][1]
        assert row["samples_per_s"] == pytest.approx(64 / row["step_s"])
        assert row["tokens_per_s_per_device"] == pytest.approx(2048 * row["samples_per_s"] / 64)


def test_estimate_is_the_row_of_the_plan_at_top_level(call) -> None:
    best = call(*PLAN, "--json").json["layouts"][0]
    words = ("--cluster", "64xa100-sxm-80gb", "--batch", "64", "--seq", "2048")
    said = call("estimate", "gpt3-175b", *words, "--layout", best["spelling"], "--json").json
    assert set(said) >= ESTIMATE | {"model", "cluster"}
    assert said["step_s"] == pytest.approx(best["step_s"])
    assert said["memory_gib"]["total"] == pytest.approx(best["memory_gib"]["total"])


def test_the_best_layout_can_be_asked_for_as_it_is_spelt_its_per_block_choice_too(call) -> None:
    words = ("alexnet", "--cluster", "4xgtx-1080-ti", "--batch", "512", "--precision", "float32", "--json")
    best = call("plan", *words).json["layouts"][0]
    assert ":slices" in best["spelling"]
    assert call("estimate", *words, "--layout", best["spelling"]).json["step_s"] == pytest.approx(best["step_s"])


def test_what_is_not_known_is_null(call) -> None:
    said = call("estimate", "resnet50", "--cluster", "4xv100", "--batch", "256", "--layout", "dp=4", "--json").json
    assert said["tokens_per_s_per_device"] is None
    assert said["seq"] is None


def test_a_loader_is_reported_with_its_stages(call) -> None:
    words = ("resnet50", "--cluster", "4xrtx-4090", "--batch", "1024", "--layout", "dp=4", "--json")
    loaded = ("--data", "imagenet-jpeg", "--workers", "4", "--unpinned", "--disk", "550 MB/s")
    said = call("estimate", *words, *loaded).json
    loader = said["loader"]
    assert (said["data"], loader["data"], loader["workers"], loader["pinned"]) == (*("imagenet-jpeg",) * 2, 4, False)
    assert set(loader["stages_s"]) == {"read", "decode", "pin", "copy"}
    assert loader["waits_s"] == pytest.approx(said["time_s"]["loader"])
    assert loader["gives_samples_per_s"] < loader["wants_samples_per_s"]
    assert loader["says"] in said["warnings"][-1]
    assert call("estimate", *words).json["loader"] is None


def test_scale_has_a_curve_for_each_way(call) -> None:
    said = call("scale", "resnet50", "--cluster", "8xv100", "--batch", "512", "--json").json
    assert said["devices"] == [1, 2, 4, 8]
    assert set(said["curves"]) == {"data", "sharded", "model", "best"}
    assert all(len(curve) == 4 for curve in said["curves"].values())
    best = [point["speedup"] for point in said["curves"]["best"]]
    assert best[0] == pytest.approx(1)
    assert best == sorted(best)


def test_split_is_article_four(call) -> None:
    said = call("split", "128x1000x500", "--ranks", "2", "--json").json
    moved = {one["kind"]: one["elements"] for one in said["splits"]}
    assert moved == {"data": 500_000, "rows": 128_000, "columns": 160_000}
    assert said["break_even_batch"] == {"rows": 500, "columns": 400}


def test_model_show_sums_its_operations(call) -> None:
    said = call("model", "show", "gpt2", "--batch", "4", "--json").json
    forward = sum(b["count"] * sum(o["flops"] for o in b["operations"]) for b in said["blocks"])
    assert forward == pytest.approx(said["flops"])
    assert said["parameters"] == 124_439_808
    single = call("model", "show", "gpt2", "--json").json
    assert said["flops"] == pytest.approx(4 * single["flops"])


def test_lists_have_names(call) -> None:
    assert {"gpt3-175b", "resnet50"} <= {row["name"] for row in call("model", "list", "--json").json["models"]}
    devices = call("hardware", "list", "--json").json["devices"]
    assert {"h100-sxm-80gb", "rtx-4090"} <= {row["name"] for row in devices}
    assert all(row["source"] and row["date"] for row in devices)


def test_detect_says_how_it_was_found_out(call) -> None:
    said = call("hardware", "detect", "--json").json
    assert said["resolved"]
    assert said["devices"] >= 1
    assert said["machine"]["packages"]["numpy"]


KNOWN = {
    "id": "a-1",
    "family": "llm",
    "model": "GPT-3 175B",
    "layers": "96",
    "hidden": "12288",
    "heads": "96",
    "vocab": "51200",
    "seq_len": "2048",
    "precision": "bf16",
    "device": "A100-SXM-80GB",
    "n_devices": "64",
    "devices_per_node": "8",
    "dp": "1",
    "tp": "8",
    "pp": "8",
    "micro_batch": "1",
    "global_batch": "64",
    "recompute": "full",
    "metric": "step_s",
    "value": "16.9",
    "source": "arXiv 2205.05198",
    "verified": "yes",
}


def write_table(path, rows: list[dict[str, str]]) -> None:
    from rigwise.measurements.tables import COLUMNS

    lines = [",".join(COLUMNS), *(",".join(row.get(column, "") for column in COLUMNS) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def test_validate_sums_up(call, tmp_path) -> None:
    write_table(tmp_path / "table.csv", [KNOWN, {**KNOWN, "id": "a-2", "device": "no such device"}])
    answer = call("validate", "table.csv", "--rows", "out.csv", "--json")
    assert answer.code == 0, answer.out
    said = answer.json
    assert (said["rows"], said["supported"], said["refused"]) == (2, 1, 1)
    out = (tmp_path / "out.csv").read_text().splitlines()
    assert len(out) == 3
    assert "no such device" in out[2]


def test_validate_writes_a_page_and_its_pictures(call, tmp_path) -> None:
    write_table(tmp_path / "table.csv", [KNOWN, {**KNOWN, "id": "a-2", "value": "17.1"}])
    said = call("validate", "table.csv", "--page", "page.md", "--json").json
    figures = {f["statistic"] for entry in said["aims"] for f in entry["figures"]}
    assert {"mean", "median"} <= figures
    assert not said["crossed"]
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("# Validation")
    assert "pictures/validation-llm.svg" in page
    assert (tmp_path / "pictures" / "validation-llm.svg").read_text().startswith("<svg")
    drawn = call("validate", "table.csv", "--page", "page.md")
    assert "LLM throughput" in drawn.out
    assert (tmp_path / "page.md").read_text() == page


@pytest.mark.parametrize("words", [PLAN, ("scale", "gpt2", "--cluster", "8xh100")], ids=lambda words: words[0])
def test_a_picture_is_written_and_the_json_stays_alone_on_stdout(words, call, tmp_path) -> None:
    said = call(*words, "--picture", "out.svg", "--json")
    assert said.json["schema_version"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.svg"]
    assert (tmp_path / "out.svg").read_text().startswith("<svg")
