"""Tables of measurements: the header is strict, the cells are lenient, and every fault names its row and its column."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import NotFoundError, UsageError
from rigwise.measurements.tables import COLUMNS, METRICS, Row, read_table, unit

SAMPLE = Path(__file__).with_name("sample.csv")
ORDER = sorted(COLUMNS)
GOOD = {
    "id": "lab-7",
    "family": "llm",
    "model": "GPT h1024 L12",
    "layers": "12",
    "device": "A100-SXM-80GB",
    "metric": "step_s",
    "value": "0.5",
    "verified": "yes",
}


def write(path: Path, *rows: dict[str, str], columns: list[str] = ORDER) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return path


def read_one(tmp_path: Path, **cells: str) -> Row:
    return read_table(write(tmp_path / "table.csv", GOOD | cells))[0]


def test_the_sample_is_read_without_a_problem() -> None:
    rows = read_table(SAMPLE)
    assert len(rows) > 50
    assert not [row.problems for row in rows if row.problems]
    assert {row.metric for row in rows} == set(METRICS)


def test_every_row_of_the_sample_becomes_a_measurement_in_its_base_unit() -> None:
    for row in read_table(SAMPLE):
        measured = row.measurement()
        assert row.value is not None
        assert measured.value == pytest.approx(row.value * unit(row.metric))
        assert measured.id == row.id
        assert measured.source == row.source


@pytest.mark.parametrize(
    ("row", "metric", "value"),
    [
        ({"metric": "ms", "value": "250"}, "pass_s", 0.25),
        ({"metric": "ms", "value": "2", "family": "conv-layer"}, "kernel_s", 0.002),
        ({"metric": "bus_gb_s", "value": "3"}, "bus_bytes_per_s", 3e9),
        ({"metric": "peak_mem_gib", "value": "2"}, "peak_memory", 2.0**31),
        ({"metric": "hours", "value": "2"}, "run_s", 7200.0),
        ({"metric": "tflops_per_gpu", "value": "150"}, "flops_per_s_per_device", 1.5e14),
    ],
)
def test_units_of_a_measurement(tmp_path: Path, row: dict[str, str], metric: str, value: float) -> None:
    measured = read_one(tmp_path, **row).measurement()
    assert str(measured.metric) == metric
    assert measured.value == pytest.approx(value)


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    path = write(tmp_path / "table.csv", GOOD, columns=ORDER[::-1])
    assert read_table(path) == read_table(write(tmp_path / "other.csv", GOOD))


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ([c for c in ORDER if c != "device"], "missing 'device'"),
        ([*ORDER, "colour"], "unknown 'colour'"),
        ([*ORDER, "id"], "twice 'id'"),
        (["id", "value"], "missing"),
    ],
)
def test_a_wrong_header_is_refused_and_names_the_columns(tmp_path: Path, columns: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_table(write(tmp_path / "table.csv", columns=columns))


def test_files_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.csv"):
        read_table(tmp_path / "none.csv")
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(UsageError, match="empty"):
        read_table(empty)
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match="not a CSV table"):
        read_table(binary)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("layers", "many"),
        ("layers", "-3"),
        ("layers", "1.5"),
        ("tp", "0"),
        ("value", "nan"),
        ("value", ""),
        ("params", "inf"),
    ],
)
def test_a_bad_cell_names_row_and_column_and_the_row_stays(tmp_path: Path, column: str, cell: str) -> None:
    row = read_one(tmp_path, **{column: cell})
    assert len(row.problems) == 1
    assert "row lab-7" in row.problems[0]
    assert f"column {column}" in row.problems[0]
    with pytest.raises(UsageError, match=column):
        row.measurement()


def test_an_unknown_metric_an_id_twice_and_a_short_row_are_problems_of_that_row(tmp_path: Path) -> None:
    path = write(tmp_path / "table.csv", GOOD | {"metric": "furlongs"}, GOOD)
    with path.open("a") as file:
        file.write("lab-8,llm\n")
    odd, twice, short = read_table(path)
    assert "furlongs" in odd.problems[0]
    assert "twice" in twice.problems[0]
    assert any("2 cells" in problem for problem in short.problems)


@given(st.integers(1, 10**12), st.floats(1e-6, 1e9, allow_nan=False))
def test_numbers_come_back_as_they_were_written(count: int, value: float) -> None:
    from rigwise.measurements.tables import _number

    assert _number(str(count), whole=True) == (count, "")
    assert _number(f"{count}.0", whole=True) == (count, "")
    assert _number(repr(value), whole=False) == (value, "")


def test_flags() -> None:
    row = Row(id="a-b-12", family="llm", model="m", metric="step_s", notes="derived-from=a-b-11; MFU")
    assert (row.prefix, row.derived_from, row.headline) == ("a-b", "a-b-11", False)
    assert Row(id="a-1", family="x", model="m", metric="ms", notes="primary; SUSPECT scaling").suspect
    assert not Row(id="a-1", family="x", model="m", metric="ms", verified="no").headline
    assert Row(id="a-1", family="x", model="m", metric="ms", notes="primary").headline
