"""The data analyst finds the facts, and does what Gateway expects of an agent."""

from __future__ import annotations

import csv
import json
import re
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from executor.agents.data_analyst import run
from tests.agents.analyst_run import SALES, Run
from tests.agents.recording_context import Cancelled, RecordingContext

SAMPLE = Path(__file__).parents[2] / "config" / "samples" / "sales.csv"


# --- Facts ---------------------------------------------------------------------


def test_missing_cells_are_counted_whatever_the_word_for_nothing(analyse):
    found = analyse({"a.csv": "k,v,w\nA,1,x\nB,NA,x\n,-,y\nC,,\nD,null,y\n"})

    assert [found.columns[name]["missing"] for name in "kvw"] == [1, 4, 1]
    assert found.file["missing"] == {"cells": 6, "rows": 4}
    assert found.columns["v"]["sum"] == 1


def test_rows_that_repeat_are_counted_and_their_weight_is_told(analyse):
    found = analyse({"a.csv": "k,v\nA,1\nB,2\nA,1\nA,1\nA,3\n"})

    assert found.file["duplicates"]["rows"] == 2
    assert found.file["duplicates"]["examples"] == [{"row": 4, "same_as": 2}, {"row": 5, "same_as": 2}]
    assert found.file["measure"]["total"] == 8
    assert found.file["duplicates"]["total_without_them"] == 6


def test_a_key_that_repeats_in_different_rows_is_pointed_out(analyse):
    rows = "".join(f"SO{i:04d},{i}\n" for i in range(30))

    found = analyse({"a.csv": "order_id,v\n" + rows + "SO0007,99\n"})

    assert found.file["repeated_keys"] == [{"column": "order_id", "values": 1, "example": "SO0007"}]
    assert "SO0007" in found.report


def test_categories_beyond_the_limit_are_added_up_in_one_line(analyse):
    rows = "".join(f"c{i:02d},{i}\n" for i in range(1, 31)) * 2

    found = analyse({"a.csv": "k,v\n" + rows}, settings={"max_categories": 5})

    table = found.file["totals"][0]
    assert [group["value"] for group in table["groups"]] == ["c30", "c29", "c28", "c27", "c26"]
    assert table["other"]["count"] == 25
    assert table["other"]["measures"]["v"] == 2 * sum(range(1, 26))
    assert "Other (25)" in found.report


def test_a_month_without_rows_is_a_zero_for_sums_and_a_gap_for_means(analyse):
    rows = "2024-01-05,10,1\n2024-03-05,30,3\n"

    found = analyse(
        {"a.csv": "date,amount,temperature\n" + rows}, "total amount and average temperature by month"
    )

    amounts, temperatures = found.file["trends"]
    assert [month["value"] for month in amounts["months"]] == [10, 0, 30]
    assert [month["value"] for month in temperatures["months"]] == [1, None, 3]


def test_a_month_that_the_data_cover_in_part_is_marked_and_not_compared(analyse):
    days = [f"2024-{month:02d}-{day:02d}" for month in (1, 2, 3) for day in range(1, 29)] + [
        "2024-01-31",
        "2024-02-29",
    ]
    rows = "".join(f"{day},10\n" for day in days if day < "2024-03-11")

    found = analyse({"a.csv": "date,amount\n" + rows})

    trend = found.file["trends"][0]
    assert (trend["first_month_incomplete"], trend["last_month_incomplete"]) == (False, True)
    line = next(line for line in found.report.splitlines() if line.startswith("| 2024-03"))
    assert line == "| 2024-03 \\* | 10 | 100 | – |"


def test_outliers_are_found_with_their_rows_and_keys(analyse):
    rows = "".join(f"K{i:03d},{100 + i % 11}\n" for i in range(60))

    found = analyse({"a.csv": "id,v\n" + rows + "K900,5000\n" + "K901,-700\n"})

    spread = next(item for item in found.file["outliers"] if item["column"] == "v")
    assert spread["count"] == 2
    assert spread["examples"] == [
        {"row": 62, "value": 5000, "key": "K900"},
        {"row": 63, "value": -700, "key": "K901"},
    ]


def test_the_width_of_the_fences_is_a_setting(analyse):
    files = {"a.csv": "k,v\n" + "".join(f"A,{v}\n" for v in [*range(1, 21), 45])}

    wide = analyse(files).file["outliers"][0]["count"]
    narrow = analyse(files, settings={"outlier_iqr": 1.5}).file["outliers"][0]["count"]

    assert (wide, narrow) == (0, 1)


# --- The shipped sample --------------------------------------------------------


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    shutil.copy(SAMPLE, folder / "sales.csv")
    return Run(folder, {}, "分析销售数据")


@pytest.fixture(scope="module")
def sample_rows():
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_sample_has_the_types_a_person_would_name(sample):
    assert sample.kinds == {
        "订单编号": "identifier",
        "日期": "date",
        "地区": "category",
        "产品": "category",
        "类别": "category",
        "渠道": "category",
        "销售员": "category",
        "数量": "number",
        "单价": "number",
        "销售额": "number",
        "客户评分": "number",
    }
    assert (sample.columns["单价"]["additive"], sample.columns["客户评分"]["additive"]) == (False, False)


@pytest.mark.parametrize("category", ["地区", "产品", "类别", "渠道"])
def test_the_samples_totals_are_those_of_plain_addition(sample, sample_rows, category):
    expected = defaultdict(float)
    for row in sample_rows:
        expected[row[category] or None] += float(row["销售额"])

    totals = sample.totals(category, "销售额")

    assert totals == pytest.approx(dict(expected))
    assert list(totals) == sorted(expected, key=expected.__getitem__, reverse=True)


def test_the_samples_months_are_those_of_plain_addition(sample, sample_rows):
    expected = defaultdict(float)
    for row in sample_rows:
        expected[row["日期"][:7]] += float(row["销售额"])

    months = {month["month"]: month["value"] for month in sample.file["trends"][0]["months"]}

    assert months == pytest.approx(dict(sorted(expected.items())))
    assert len(months) == 18
    assert max(months, key=months.__getitem__) == "2024-11"


def test_the_samples_flaws_are_found(sample, sample_rows):
    rows = [tuple(row.values()) for row in sample_rows]
    amounts = [float(row["销售额"]) for row in sample_rows]
    q1, _, q3 = statistics.quantiles(amounts, n=4, method="inclusive")

    assert sample.file["rows"] == len(rows)
    assert sample.file["missing"]["cells"] == sum(cell == "" for row in rows for cell in row) == 23
    assert sample.file["duplicates"]["rows"] == len(rows) - len(set(rows)) == 3
    spreads = {item["column"]: item for item in sample.file["outliers"]}
    assert spreads["销售额"]["count"] == sum(amount > q3 + 3 * (q3 - q1) for amount in amounts)
    assert [item["value"] for item in spreads["数量"]["examples"]] == [80, 30, 12]


def test_the_samples_histograms_hold_every_row_once(sample):
    histograms = [chart for chart in sample.charts() if "的分布" in chart]

    assert len(histograms) == 2
    for chart in histograms:
        assert sum(int(count) for count in re.findall(r": ([0-9]+) 行</title></rect>", chart)) == 428


def test_the_samples_bars_are_as_long_as_their_values(sample):
    chart = sample.charts()[0]
    bars = re.findall(r'width="([0-9.]+)" height="20.0"[^>]*><title>[^:]*: ([0-9,.]+)</title>', chart)
    lengths = [(float(width), float(value.replace(",", ""))) for width, value in bars]

    assert len(lengths) == 6
    scale = lengths[0][0] / lengths[0][1]
    assert all(width == pytest.approx(value * scale, abs=0.1) for width, value in lengths)


def test_the_samples_result_tells_the_main_numbers_in_chinese(sample):
    assert sample.result["summary"] == (
        "sales.csv 共 428 行，销售额合计 429,292.35。地区中最高的是华东（122,518.65，占 28.5%），"
        "最高的月份是 2024-11（50,417.30）。请留意：缺失 23 个单元格，重复 3 行，异常值 10 个。"
    )
    assert sample.result["report"] == "analysis/report.md"
    assert sample.result["rows"] == 428
    assert json.dumps(sample.result)


def test_the_sample_is_what_its_script_makes(tmp_path):
    script = SAMPLE.with_name("make_sales.py").read_text(encoding="utf-8")
    names = {"__name__": "make_sales"}
    exec(compile(script, "make_sales.py", "exec"), names)  # noqa: S102 - our own script

    with SAMPLE.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [names["HEADER"], *names["sales"]()]


# --- The contract with Gateway -------------------------------------------------


def test_each_stage_is_a_step_with_input_and_output(analyse):
    found = analyse({"a.csv": SALES})

    assert [step.name for step in found.ctx.steps] == [
        "find_files",
        "read_csv",
        "detect_types",
        "check_quality",
        "total_by_category",
        "trend_by_month",
        "find_outliers",
        "draw_charts",
        "write_report",
    ]
    assert {(step.kind, step.status) for step in found.ctx.steps} == {("tool", "completed")}
    assert all(json.dumps(step.output) for step in found.ctx.steps if step.output is not None)
    assert found.ctx.steps[1].output["rows"] == 3


def test_progress_only_grows_and_ends_at_one_hundred(analyse):
    found = analyse({"a.csv": SALES, "bad.csv": b"", "c.csv": SALES})

    percents = [percent for percent, _ in found.ctx.progresses]
    assert percents == sorted(percents)
    assert percents[0] == 0
    assert percents[-1] == 100
    assert len(set(percents)) > len(percents) / 2
    assert all(message for _, message in found.ctx.progresses)


def test_every_output_is_a_titled_artifact_the_report_first(analyse):
    found = analyse({"a.csv": SALES})

    assert next(iter(found.ctx.artifacts)) == "analysis/report.md"
    assert list(found.ctx.artifacts) == found.result["artifacts"]
    assert all(found.ctx.artifacts.values())
    linked = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", found.report)
    assert {f"analysis/{path}" for path in linked} == {
        path for path in found.ctx.artifacts if path.endswith(".svg")
    }


@pytest.mark.parametrize("after", range(1, 9))
def test_a_cancelled_task_stops_before_the_next_stage(tmp_path, after):
    (tmp_path / "a.csv").write_text(SALES)
    ctx = RecordingContext(tmp_path, "Analyse", cancel_after_steps=after)

    with pytest.raises(Cancelled):
        run(ctx)

    assert len(ctx.steps) == after
    assert ctx.artifacts == {}


def test_a_second_run_replaces_the_first_and_reads_none_of_it(analyse):
    first = analyse({"a.csv": SALES})
    second = analyse({"a.csv": SALES})

    assert first.report == second.report
    assert not [path for path in second.folder.rglob("*") if path.name.startswith(".")]


def test_loading_the_entry_point_loads_neither_django_nor_the_table_library():
    code = (
        "import sys, executor.agents.data_analyst as a; assert callable(a.run); "
        "assert not {'django', 'polars'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SAMPLE.parents[2])
