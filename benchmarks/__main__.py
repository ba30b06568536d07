"""`python -m benchmarks [NAME…]`: without names it lists the benchmarks, with them it runs these."""

from __future__ import annotations

import signal
import sys

from benchmarks import drain, fanout, http, start, waits

BENCHMARKS = {"start": start, "waits": waits, "drain": drain, "http": http, "fanout": fanout}


def main(names: list[str]) -> int:
    """Run the benchmarks called ``names`` ("all": every one), or list them; returns an exit code."""
    unknown = [name for name in names if name not in {*BENCHMARKS, "all"}]
    if unknown:
        print(f"There is no benchmark '{unknown[0]}'; there are: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    if not names:
        for name, module in BENCHMARKS.items():
            print(f"{name:8}{(module.__doc__ or '').splitlines()[0]}")
        print('\nRun some: python -m benchmarks start waits   (or: make bench ARGS="start waits", ARGS=all)')
    for name in BENCHMARKS if "all" in names else names:
        BENCHMARKS[name].run()
    return 0


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped on the way out
sys.exit(main(sys.argv[1:]))
