"""The data analyst refuses what is no table, and nothing in a file can do harm."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from executor.agents.data_analyst.errors import AnalysisError
from executor.agents.data_analyst.wording import Wording
from tests.agents.analyst_run import SALES, Run

# --- Files that cannot be used -------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n", "is empty"),
        (b"a,b,c\n", "no rows of data"),
        (b"a,b\n,\n,\n", "every cell is empty"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"a,b\n1,2\n\x00\x01,3\n", "line 3 holds a NUL byte"),
        (b"name,v\nx,1\ncaf\xe9,2\n", "line 3 holds bytes of another encoding"),
        (b'id,note\n1,a\n2,"open\n3,c\n4,d\n', "line 3: a quote"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_its_name_and_the_reason(refusal, content, reason):
    message = refusal({"bad file.csv": content})

    assert "bad file.csv" in message
    assert reason in message


def test_good_files_are_analysed_beside_bad_ones(analyse):
    found = analyse({"bad.csv": b"", "good.csv": SALES, "half.csv": "a,b\n"}, "Analyse all")

    assert [file["file"] for file in found.result["files"]] == ["good.csv"]
    assert [item["file"] for item in found.result["skipped"]] == ["bad.csv", "half.csv"]
    section = found.report.split("## Files left out")[1]
    assert "bad.csv is empty" in section
    assert "half.csv has a header but no rows" in section
    assert [level for level, _ in found.ctx.logs] == ["warning", "warning"]


def test_an_empty_workspace_is_an_error_that_says_what_to_do(refusal):
    assert "Put a .csv" in refusal({"notes.md": "hello"})
    assert "请先放入" in refusal({}, "分析")


def test_a_file_over_the_limit_is_not_read(refusal):
    message = refusal({"a.csv": SALES * 100}, settings={"max_file_mb": 0.001})

    assert "a.csv" in message
    assert "max_file_mb" in message


def test_files_beyond_the_limit_are_left_out_by_name(analyse):
    found = analyse({f"{name}.csv": SALES for name in "abc"}, settings={"max_files": 2})

    assert [item["file"] for item in found.result["skipped"]] == ["c.csv"]


@pytest.mark.parametrize("value", ["many", 0, -1, True, None])
def test_a_setting_that_makes_no_sense_is_refused(refusal, value):
    assert "max_files" in refusal({"a.csv": SALES}, settings={"max_files": value})


def test_text_files_count_only_if_they_are_delimited(analyse):
    letter = "Dear reader,\nthis is a letter, not a table.\nIt has commas, and words, and more.\nYours\n"

    found = analyse({"letter.txt": letter, "table.txt": "a;b\n1;2\n3;4\n"})

    assert [file["file"] for file in found.result["files"]] == ["table.txt"]


def test_hidden_files_and_folders_are_left_alone(analyse):
    found = analyse({"a.csv": SALES, ".b.csv": SALES, ".git/c.csv": SALES})

    assert [file["file"] for file in found.result["files"]] == ["a.csv"]


# --- Safety --------------------------------------------------------------------


def test_a_link_out_of_the_workspace_is_not_read(tmp_path):
    (tmp_path / "secret.csv").write_text("secret,v\nhunter2,1\n")
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")

    found = Run(folder, {"a.csv": SALES})

    assert [item["file"] for item in found.result["skipped"]] == ["link.csv"]
    assert "hunter2" not in found.report


def test_a_link_in_the_place_of_the_report_folder_is_refused(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "analysis").symlink_to(outside)

    with pytest.raises(AnalysisError, match="link"):
        Run(folder, {"a.csv": SALES})

    assert list(outside.iterdir()) == []


def test_a_link_in_the_place_of_the_report_is_replaced_not_followed(tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    folder = tmp_path / "workspace"
    (folder / "analysis").mkdir(parents=True)
    (folder / "analysis/report.md").symlink_to(precious)

    found = Run(folder, {"a.csv": SALES})

    assert precious.read_text() == "precious"
    assert found.report.startswith("# Data analysis")


NASTY = '<script>alert(1)</script>|`x`[a](http://evil.example) <b>&*bold*"'


def test_cells_cannot_become_markup_in_the_report(analyse):
    quoted = NASTY.replace('"', '""')
    text = f'"{quoted}",v\n"{quoted}",1\n"line\nbreak | pipe",2\n"{quoted}",4\n'

    found = analyse({"a.csv": text}, f"look at “{NASTY[:40]}”")

    assert not re.search(r"<\w", found.report)
    assert "[a](" not in found.report
    assert "http://" not in found.report
    assert not re.search(r"(?<!\\)`", found.report)
    assert "line break \\| pipe" in found.report
    widths = {
        len(re.findall(r"(?<!\\)\|", line))
        for line in found.report.splitlines()
        if "script" in line and "|" in line[:1]
    }
    assert len(widths) <= 2  # tables keep their columns: the totals', and the columns'
    assert "<script>" not in found.ctx.texts[0]


def test_cells_cannot_become_markup_in_a_chart(analyse):
    quoted = NASTY.replace('"', '""')

    found = analyse({"a <b>.csv": f'"{quoted}",v\n"{quoted}",1\n"\x07bell]]>\u202e",2\n"{quoted}",4\n'})

    assert found.charts()
    for chart in found.charts():
        root = ET.fromstring(chart)  # noqa: S314 - parsing shows that it is well formed
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert tags <= {"svg", "title", "desc", "style", "rect", "text", "line", "path", "circle"}
        assert "\u202e" not in chart


def test_charts_are_readable_on_dark_ground_and_without_eyes(analyse):
    found = analyse({"销售.csv": SALES + "2024-03-01,华东,90\n"}, "分析")

    assert len(found.charts()) == 2
    for chart in found.charts():
        root = ET.fromstring(chart)  # noqa: S314 - our own chart
        assert root.get("role") == "img"
        assert root[0].tag.endswith("title")
        assert root[1].tag.endswith("desc")
        assert "prefers-color-scheme:dark" in chart
        assert "Noto Sans CJK SC" in chart
        assert not re.search(r"href|url\(|<script|@import", chart)
    assert "华东" in found.charts()[0]


def test_a_chart_of_many_categories_shows_the_losses_too(analyse):
    chart = analyse({"a.csv": "k,v\n" + "".join(f"c{i:02d},{10 - i}\n" for i in range(19))}).charts()[0]

    shown = re.findall(r">(c\d\d)<", chart)
    assert shown == [f"c{i:02d}" for i in [*range(8), 15, 16, 17, 18]]
    assert "7 more not shown" in chart


def test_a_very_long_text_is_searched_in_no_time(analyse):
    assert analyse({"a.csv": SALES}, "a" * 32_000).result["ignored"] == []


@pytest.mark.parametrize(
    ("value", "english", "chinese"),
    [
        (9_876.5, "9,876", "9,876"),
        (12_345, "12.35K", "1.23 万"),
        (122_518.65, "122.5K", "12.25 万"),
        (-5_000_000, "-5M", "-500 万"),
        (2.5e9, "2.5B", "25 亿"),
        (3e12, "3T", "3 万亿"),
        (0.25, "0.25", "0.25"),
        (22.5, "22.5", "22.5"),
        (0, "0", "0"),
    ],
)
def test_short_numbers_are_worth_what_they_stand_for(value, english, chinese):
    assert Wording(chinese=False).short(value) == english
    assert Wording(chinese=True).short(value) == chinese


def test_large_numbers_on_charts_are_short_in_the_language_of_the_report(analyse):
    files = {"a.csv": "k,v\nA,120000\nB,345000000\n"}

    assert "3.45 亿" in analyse(files, "分析").charts()[0]
    assert "345M" in analyse(files, "Analyse").charts()[0]
