"""Makes ``sales.csv``, the sample that Gateway analyses on its first start.

    python config/samples/make_sales.py > config/samples/sales.csv

The same file comes out every time. It is a plausible year and a half of a small
electronics dealer: sales peak in November and June, a few cells are missing, three
rows were entered twice, and three amounts are far from the rest.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
import sys

PRODUCTS = {  # product: (category, price in yuan, popularity)
    "智能手表 S2": ("穿戴设备", 799, 7),
    "运动手环 B5": ("穿戴设备", 249, 9),
    "降噪耳机 X1": ("音频", 599, 8),
    "便携音箱 M3": ("音频", 329, 8),
    "机械键盘 K87": ("电脑外设", 459, 8),
    "无线鼠标 L2": ("电脑外设", 129, 9),
    "24 英寸显示器": ("电脑外设", 999, 5),
    "移动电源 20K": ("充电", 179, 9),
    "氮化镓充电器": ("充电", 139, 8),
}
REGIONS = {"华东": 34, "华南": 26, "华北": 20, "西南": 12, "华中": 8}
SELLERS = {
    "华东": ["陈思远", "林晓雯"],
    "华南": ["黄子健", "梁嘉敏"],
    "华北": ["王海涛", "刘佳宁"],
    "西南": ["周明轩"],
    "华中": ["吴雨桐"],
}
CHANNELS = {"线上": 55, "门店": 30, "经销商": 15}
SEASON = [0.9, 0.65, 0.95, 0.95, 1.05, 1.45, 0.95, 0.9, 1.1, 1.1, 1.9, 1.35]
FIRST_DAY = dt.date(2024, 1, 1)
MONTHS = 18
HEADER = ["订单编号", "日期", "地区", "产品", "类别", "渠道", "销售员", "数量", "单价", "销售额", "客户评分"]


def pick(random_: random.Random, weights: dict[str, int]) -> str:
    """Choose a key by its weight."""
    return random_.choices(list(weights), weights=list(weights.values()))[0]


def order_days(random_: random.Random) -> list[dt.date]:
    """Return the days of all orders, more of them in the strong months and slightly more each month."""
    days = []
    for month in range(MONTHS):
        year, number = divmod(FIRST_DAY.month - 1 + month, 12)
        first = dt.date(FIRST_DAY.year + year, number + 1, 1)
        length = ((first + dt.timedelta(days=32)).replace(day=1) - first).days
        count = round(20 * SEASON[number] * (1 + month * 0.012))
        days += [first + dt.timedelta(days=random_.randrange(length)) for _ in range(count - 1)]
        days.append(first + dt.timedelta(days=length - 1))
    return sorted(days)


def order(random_: random.Random, number: int, day: dt.date) -> list[str]:
    """Return one row."""
    region = pick(random_, REGIONS)
    product = pick(random_, {name: popularity for name, (_, _, popularity) in PRODUCTS.items()})
    category, list_price, _ = PRODUCTS[product]
    channel = pick(random_, CHANNELS)
    quantity = random_.choices([1, 2, 3, 4, 5, 6], weights=[34, 28, 17, 11, 6, 4])[0]
    price = round(list_price * random_.choice([1, 1, 1, 0.95, 0.9]), 2)
    rating = random_.choices(["5", "4", "3", "2"], weights=[52, 33, 11, 4])[0]
    row = [f"SO{day:%y%m}{number:04d}", f"{day}", region, product, category, channel]
    return [
        *row,
        random_.choice(SELLERS[region]),
        f"{quantity}",
        f"{price:.2f}",
        f"{quantity * price:.2f}",
        rating,
    ]


def sales() -> list[list[str]]:
    """Return all rows with their flaws."""
    random_ = random.Random(20240101)  # noqa: S311 - a sample, not a secret
    rows = [order(random_, number, day) for number, day in enumerate(order_days(random_), start=1)]
    for place, quantity in ((61, 30), (204, 80), (318, 12)):  # orders of whole companies
        rows[place][7] = f"{quantity}"
        rows[place][9] = f"{quantity * float(rows[place][8]):.2f}"
    for place in random_.sample(range(len(rows)), 14):
        rows[place][10] = ""
    for place in random_.sample(range(len(rows)), 6):
        rows[place][6] = ""
    for place in random_.sample(range(len(rows)), 3):
        rows[place][2] = ""
    for place in sorted(random_.sample(range(len(rows)), 3), reverse=True):
        rows.insert(place + 1, list(rows[place]))
    return rows


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(sales())
