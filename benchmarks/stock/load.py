"""Gives Django-Q2 work, in a process of its own, and prints as JSON when each piece was committed."""

from __future__ import annotations

import json
import sys
import time

import django


def main(function: str, count: int, gap: float, path: str, waits: bool) -> None:
    """Enqueue ``count`` calls, ``gap`` seconds apart, and wait for the end of all of them if asked."""
    django.setup()
    from django_q.models import OrmQ
    from django_q.tasks import async_task

    committed = {}
    first = time.time()
    for number in range(count):
        async_task(f"benchmarks.stock.functions.{function}", path, str(number))
        committed[str(number)] = time.time()
        time.sleep(gap)
    last = time.time() - gap
    while waits and OrmQ.objects.exists():
        time.sleep(0.02)
    print(json.dumps({"committed": committed, "first": first, "last": last, "done": time.time()}))


main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5] == "wait")
