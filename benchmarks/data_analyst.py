"""Times the data analyst on half a million rows, from a fresh interpreter to the last artifact.

    python benchmarks/data_analyst.py [--rows 500000] [--encoding utf-8|gb18030]

Prints the seconds of one whole run, import of the table library included, the rows
per second and the greatest memory held. Making the file is not part of the time.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
REGIONS = ["华东", "华南", "华北", "西南", "西北", "东北"]
PRODUCTS = ["智能手表", "无线耳机, 白色", "蓝牙音箱", "移动电源", "机械键盘", "显示器"]


class CollectingContext:
    """The least context that the agent runs with."""

    def __init__(self, folder: Path) -> None:
        self.task_id = "benchmark"
        self.description = "分析销售数据，按地区汇总销售额"
        self.input: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}
        self.workspace = SimpleNamespace(id="benchmark", path=folder)
        self.collected: list[Any] = []

    @contextmanager
    def step(self, kind: str, name: str, *, input: Any = None) -> Iterator[SimpleNamespace]:
        step = SimpleNamespace(kind=kind, name=name, input=input, output=None)
        yield step
        self.collected.append(step)

    def collect(self, *args: Any, **kwargs: Any) -> None:
        self.collected.append((args, kwargs))

    log = progress = text = artifact = collect

    def raise_if_cancelled(self) -> None:
        return


def make_file(path: Path, rows: int, encoding: str) -> None:
    """Write a sales table of 8 columns: codes, dates, Chinese text, numbers with separators, gaps."""
    random_ = random.Random(7)  # noqa: S311 - data for a measurement
    with path.open("w", encoding=encoding, newline="") as file:
        file.write("订单编号,日期,地区,产品,销售员,数量,销售额,备注\n")
        for i in range(rows):
            amount = random_.lognormvariate(6, 0.8)
            region = "" if i % 211 == 0 else random_.choice(REGIONS)
            day = f"{2023 + i % 2}-{random_.randrange(12) + 1:02d}-{random_.randrange(28) + 1:02d}"
            product = random_.choice(PRODUCTS)
            file.write(
                f'SO{i:08d},{day},{region},"{product}",员工{i % 97:02d},'
                f'{random_.randrange(20) + 1},"{amount:,.2f}",备注 {i % 1009}\n'
            )


def run_once(folder: Path) -> None:
    """Run the agent in this process and print what it took."""
    start = time.perf_counter()
    sys.path.insert(0, str(ROOT))
    from executor.agents.data_analyst import run  # timed: a run starts in a fresh process

    result = run(CollectingContext(folder))
    seconds = time.perf_counter() - start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = result["rows"]
    sys.stdout.write(
        f"{rows:,} rows in {seconds:.2f} s: {rows / seconds:,.0f} rows/s, peak {peak_mb:,.0f} MB\n"
    )


def main() -> None:
    """Make the file and run the agent in a child process, as Gateway does."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--encoding", choices=["utf-8", "gb18030"], default="utf-8")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder:
        run_once(args.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sales.csv")
        make_file(path, args.rows, args.encoding)
        sys.stdout.write(f"{path.stat().st_size / 1e6:.0f} MB, {args.encoding}\n")
        sys.stdout.flush()
        subprocess.run([sys.executable, __file__, "--folder", folder], check=True)


if __name__ == "__main__":
    main()
