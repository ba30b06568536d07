"""The data analyst heeds the text of the task, and says what it did not use."""

from __future__ import annotations

import re

import pytest

from tests.agents.analyst_run import SALES

TWO = {"2024/sales.csv": "region,amount\nE,10\nW,20\n", "costs.csv": "region,cost\nE,1\nW,2\n"}


@pytest.mark.parametrize(
    "description",
    [
        "Analyse sales.csv",
        "look at 2024/sales.csv please",
        "Analyse the sales",
        "分析SALES.CSV的数据",
        "看看“sales”",
    ],
)
def test_a_named_file_is_the_only_one_analysed(analyse, description):
    found = analyse(TWO, description)

    assert [file["file"] for file in found.result["files"]] == ["2024/sales.csv"]
    assert found.result["ignored"] == []


def test_all_files_are_analysed_when_none_is_named(analyse):
    found = analyse(TWO)

    assert [file["file"] for file in found.result["files"]] == ["2024/sales.csv", "costs.csv"]
    assert found.result["rows"] == 4


def test_a_longer_file_name_does_not_name_the_shorter_one(analyse):
    found = analyse({**TWO, "old-costs.csv": "region,cost\nE,7\n"}, "Analyse old-costs.csv")

    assert [file["file"] for file in found.result["files"]] == ["old-costs.csv"]


def test_the_input_names_file_and_column(analyse):
    found = analyse(
        {**TWO, "costs.csv": "region,cost,hours\nE,1,5\nW,2,6\n"}, input={"file": "costs", "column": "Hours"}
    )

    assert [file["file"] for file in found.result["files"]] == ["costs.csv"]
    assert found.file["measure"]["column"] == "hours"


def test_an_unknown_file_in_the_input_is_an_error_that_lists_the_files(refusal):
    message = refusal(TWO, input={"file": "nope.csv"})

    assert "nope.csv" in message
    assert "2024/sales.csv" in message


def test_an_unknown_column_in_the_input_is_an_error_that_lists_the_columns(refusal):
    message = refusal({"a.csv": SALES}, "分析", input={"column": "利润"})

    assert "利润" in message
    assert "销售额" in message


def test_named_columns_lead_the_report(analyse):
    text = "region,product,amount,quantity\nE,p,10,1\nW,q,20,5\nE,q,30,2\n"

    found = analyse({"a.csv": text}, "quantity by product")

    assert found.file["named_columns"] == ["quantity", "product"]
    assert found.file["measure"]["column"] == "quantity"
    assert [table["category"] for table in found.file["totals"]] == ["product", "region"]
    assert found.report.index("## By product") < found.report.index("## By region")


def test_the_longest_column_name_in_a_chinese_text_wins(analyse):
    found = analyse({"a.csv": "销售,销售额,地区\n1,10,东\n2,20,西\n"}, "按地区汇总销售额")

    assert found.file["named_columns"] == ["地区", "销售额"]


def test_a_latin_column_name_must_stand_alone_in_the_text(analyse):
    found = analyse({"a.csv": "item,ate,v\na,1,2\nb,3,4\n"}, "Evaluate every date")

    assert found.file["named_columns"] == []


def test_an_average_is_taken_where_the_task_asks_for_one(analyse):
    found = analyse({"a.csv": "地区,销售额\n东,10\n东,20\n西,40\n"}, "各地区的平均销售额")

    assert found.totals("地区", "销售额") == {"西": 40, "东": 15}


def test_english_words_find_chinese_columns(analyse):
    found = analyse({"a.csv": SALES}, "Total sales by region")

    assert found.file["named_columns"] == ["销售额", "地区"]
    assert found.result["ignored"] == []


def test_what_the_task_names_in_vain_is_said_with_what_there_is(analyse):
    found = analyse({"a.csv": SALES}, "分析 orders.csv，按客户统计“利润”，再预测下个月")

    ignored = "\n".join(found.result["ignored"])
    assert re.search("orders.csv.*a.csv", ignored)
    assert re.search("利润.*销售额", ignored)
    assert "客户" in ignored
    assert "预测" in ignored
    section = found.report.split("## 未采用的要求")[1].split("\n## ")[0]
    assert all(word in section for word in ["orders.csv", "利润", "客户", "预测"])


def test_file_names_run_together_in_chinese_are_told_apart(analyse):
    found = analyse({"a.csv": SALES}, "请对比nope.csv和other.csv")

    assert [re.search("“(.*?)”", line).group(1) for line in found.result["ignored"]] == [
        "nope.csv",
        "other.csv",
    ]


def test_nothing_is_said_to_be_ignored_when_nothing_was(analyse):
    found = analyse({"a.csv": SALES}, "按地区和月份分析销售额，找出异常值")

    assert found.result["ignored"] == []
    assert "未采用" not in found.report


def test_a_column_called_forecast_is_no_wish_for_one(analyse):
    found = analyse({"a.csv": "region,forecast\nE,1\nW,2\n"}, "total forecast by region")

    assert found.result["ignored"] == []


def test_unknown_input_is_said_to_be_ignored(analyse):
    found = analyse({"a.csv": SALES}, input={"colour": "red"})

    assert "colour" in found.result["ignored"][0]
    assert "## What I did not use" in found.report


def test_the_report_speaks_the_language_of_the_task(analyse):
    chinese = analyse({"a.csv": SALES}, "分析")
    english = analyse({"a.csv": SALES}, "Analyse")

    assert chinese.report.startswith("# 数据分析：a.csv")
    assert "## 数据质量" in chinese.report
    assert english.report.startswith("# Data analysis: a.csv")
    assert not re.search("[\u3400-\u9fff]", re.sub("日期|地区|销售额|华东|华南", "", english.report))
