"""The data analyst reads tables as people write them."""

from __future__ import annotations

import pytest

from tests.agents.analyst_run import SALES

# --- Reading -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "name"),
    [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("gb18030", "GB18030"), ("utf-16", "UTF-16")],
)
def test_the_same_table_is_read_from_every_encoding(analyse, codec, name):
    found = analyse({"销售.csv": SALES.encode(codec)}, "分析")

    assert found.file["encoding"] == name
    assert list(found.columns) == ["日期", "地区", "销售额"]
    assert found.totals("地区", "销售额") == {"华南": 250.5, "华东": 149.5}


def test_gb18030_characters_whose_second_byte_is_a_bar_do_not_split_cells(analyse):
    text = "名称|金额\n" + "".join(f"{name}|{i}\n" for i, name in enumerate(["墊", "倈", "眧"]))
    assert b"|" in "墊倈眧".encode("gb18030")

    found = analyse({"a.csv": text.encode("gb18030")}, "分析")

    assert found.totals("名称", "金额") == {"墊": 0, "倈": 1, "眧": 2}


def test_a_few_broken_bytes_do_not_turn_utf8_into_other_characters(analyse):
    content = ("名称,金额\n" + "华东大区,10\n" * 30).encode() + b"\xff\xfe,5\n"

    found = analyse({"a.csv": content}, "分析")

    assert found.file["encoding"] == "UTF-8"
    assert found.totals("名称", "金额")["华东大区"] == 300
    assert "损坏" in found.notes


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~", "\x01", "，", "||"])
def test_any_delimiter_is_recognised(analyse, delimiter):
    rows = [["name", "city", "value"], ["A", "Rome", "1"], ["B", "Oslo", "2"], ["C", "Rome", "4"]]

    found = analyse({"a.csv": "\n".join(delimiter.join(row) for row in rows) + "\n"})

    assert found.file["delimiter"] == delimiter
    assert found.totals("city", "value") == {"Rome": 5, "Oslo": 2}


def test_a_decimal_comma_is_not_taken_for_the_delimiter(analyse):
    found = analyse({"a.csv": "name;value\nA;1,5\nB;2,5\nC;1.003,25\n"})

    assert found.columns["value"]["sum"] == 1007.25


def test_commas_in_sentences_do_not_split_a_single_column(analyse):
    found = analyse({"a.csv": "comment\nyes, please\nno, thanks\nfine\nwell, well\n"})

    assert list(found.columns) == ["comment"]
    assert "delimiter: none" in found.report
    assert found.totals("comment", "rows") == dict.fromkeys(
        ["fine", "no, thanks", "well, well", "yes, please"], 1
    )


def test_a_very_ragged_file_is_split_as_its_header_is(analyse):
    found = analyse({"a.csv": "a,b,c\n1,2\n1,2,3,4\n1\n1,2\n1,2,3,4,5\n"})

    assert list(found.columns) == ["a", "b", "c"]
    assert found.columns["a"]["sum"] == 5


def test_excels_line_about_the_delimiter_is_heeded_and_no_data(analyse):
    found = analyse({"a.csv": "sep=;\nname;value\nA;1\nB;2\n"})

    assert list(found.columns) == ["name", "value"]
    assert found.result["rows"] == 2


def test_quoted_cells_keep_delimiters_quotes_and_line_breaks(analyse):
    text = 'note,value\n"a, b",1\n"two\nlines",2\n"say ""hi""",4\n'

    found = analyse({"a.csv": text})

    assert found.result["rows"] == 3
    assert found.totals("note", "value") == {"a, b": 1, "two\nlines": 2, 'say "hi"': 4}


def test_a_quote_in_the_middle_of_a_cell_is_a_character(analyse):
    found = analyse({"a.csv": 'item,value\n5" pipe,1\nrod,2\n7" pipe,4\n3" pipe,8\n'})

    assert found.totals("item", "value") == {'3" pipe': 8, '7" pipe': 4, "rod": 2, '5" pipe': 1}


def test_rows_with_too_many_or_too_few_cells_are_read_and_reported(analyse):
    found = analyse({"a.csv": "a,b,c\nx,1,2\ny,3\nz,4,5,6\n\nw,7,8\n"})

    assert found.result["rows"] == 4
    assert found.columns["c"]["missing"] == 1
    assert "more cells than the header: 1 (first: row 4)" in found.notes
    assert "fewer cells than the header: 1 (first: line 3)" in found.notes
    assert "Empty rows left out: 1" in found.notes


def test_columns_without_a_name_of_their_own_get_one(analyse):
    found = analyse({"a.csv": "a,a,,b\n1,2,3,x\n4,5,6,y\n"})

    assert list(found.columns) == ["a", "a (2)", "column 3", "b"]
    assert "a (2)" in found.notes


def test_a_title_above_the_header_is_skipped(analyse):
    found = analyse({"a.csv": "Sales of 2024,,\n\nname,value,cost\nA,1,2\nB,2,3\nC,4,3\n"})

    assert list(found.columns) == ["name", "value", "cost"]
    assert found.columns["value"]["sum"] == 7


def test_a_file_without_a_header_loses_no_row(analyse):
    found = analyse({"a.csv": "2024-01-01,A,1.5\n2024-01-02,B,2.5\n2024-01-03,A,3.5\n"})

    assert found.result["rows"] == 3
    assert found.columns["column 3"]["sum"] == 7.5


# --- Types ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "total", "unit"),
    [
        (["1,234.50", "2,000", "5"], 3239.5, ""),
        (["¥1,200", "￥300.5", "12元"], 1512.5, "¥"),
        (["$5", "-$2", "$1.50"], 4.5, "$"),
        (["(1,200)", "200", "1"], -999, ""),
        (["1.234,56", "0,44", "10"], 1245, ""),
        (["1.5万", "2万", "5000"], 40000, ""),
        (["１２", "３", "4"], 19, ""),
        (["1 234", "5-", "−4"], 1225, ""),
    ],
)
def test_numbers_are_read_as_people_write_them(analyse, cells, total, unit):
    rows = "".join(f'{name}\t"{cell}"\n' for name, cell in zip("xyz", cells, strict=True))

    found = analyse({"a.tsv": "name\tamount\n" + rows})

    assert found.columns["amount"]["kind"] == "number"
    assert found.columns["amount"]["sum"] == pytest.approx(total)
    assert found.columns["amount"]["unit"] == unit


def test_percentages_are_averaged_never_added_up(analyse):
    found = analyse({"a.csv": "name,done\nA,10%\nB,20%\nC,60%\n"})

    assert "sum" not in found.columns["done"]
    assert found.file["measure"] == {"column": "done", "how": "mean", "unit": "%", "total": 30}
    assert "30.00%" in found.report


@pytest.mark.parametrize(
    "cells",
    [
        ["2024-01-05", "2024-03-01"],
        ["2024/1/5", "2024/3/1"],
        ["2024.1.5", "2024.3.1"],
        ["2024年1月5日", "2024年3月1日"],
        ["20240105", "20240301"],
        ["2024-01", "2024-03"],
        ["2024-01-05 08:30", "2024-03-01T23:59:59Z"],
        ["25.01.2024", "01.03.2024"],
        ["1/25/2024", "3/1/2024"],
        ["5 Jan 2024", "1 Mar 2024"],
    ],
)
def test_dates_are_read_as_people_write_them(analyse, cells):
    found = analyse(
        {"a.csv": "日期,金额\n" + "".join(f"{cell},{10 + i}\n" for i, cell in enumerate(cells))}, "分析"
    )

    assert found.kinds["日期"] == "date"
    months = found.file["trends"][0]["months"]
    assert [(month["month"], month["value"]) for month in months] == [
        ("2024-01", 10),
        ("2024-02", 0),
        ("2024-03", 11),
    ]


def test_eight_digits_are_a_date_only_where_the_name_says_so(analyse):
    found = analyse({"a.csv": "order date,tonnage\n20240105,20240105\n20240301,20240301\n"})

    assert found.kinds == {"order date": "date", "tonnage": "number"}


def test_an_impossible_date_is_unreadable_not_moved(analyse):
    rows = "".join(f"2024-02-{day:02d},1\n" for day in range(20, 31))

    found = analyse({"a.csv": "date,v\n" + rows})

    assert found.columns["date"]["unreadable"] == 1
    assert "2024-02-30" in found.report


def test_identifiers_codes_and_years_are_never_added_up(analyse):
    header = "订单编号,邮编,年份,user_id,serial,数量\n"
    rows = "".join(
        f"{9000 + i},0{10000 + i % 7},{2020 + i % 3},{i % 5},{500 + i},{i % 4}\n" for i in range(40)
    )

    found = analyse({"a.csv": header + rows}, "分析")

    assert found.kinds == {
        "订单编号": "identifier",
        "邮编": "identifier",
        "年份": "category",
        "user_id": "identifier",
        "serial": "identifier",
        "数量": "number",
    }
    assert found.file["measure"]["column"] == "数量"
    assert set(found.totals("年份", "数量")) == {"2020", "2021", "2022"}


def test_yes_and_no_group_rows(analyse):
    found = analyse({"a.csv": "是否会员,金额\n是,10\n否,5\n是,1\n"}, "分析")

    assert found.kinds["是否会员"] == "boolean"
    assert found.totals("是否会员", "金额") == {"是": 11, "否": 5}


def test_prices_are_averaged_by_category(analyse):
    found = analyse({"a.csv": "product,unit price\nA,10\nA,20\nB,40\n"})

    assert found.totals("product", "unit price") == {"B": 40, "A": 15}


def test_cells_that_do_not_fit_their_column_are_counted_and_shown(analyse):
    rows = "".join(f"A,{i}\n" for i in range(19))

    found = analyse({"a.csv": "k,v\n" + rows + "A,about ten\n"})

    assert found.columns["v"]["unreadable"] == 1
    assert found.columns["v"]["sum"] == sum(range(19))
    assert "about ten" in found.report


def test_currencies_that_are_mixed_are_pointed_out(analyse):
    found = analyse({"a.csv": "k,v\nA,$5\nB,¥6\n"})

    assert "mixes currencies" in found.notes
