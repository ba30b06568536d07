"""The threads in which the web process talks to the database: few, each with a connection that it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8

_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="database")


async def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``function`` in one of the threads and return what it returns."""

    def call() -> T:
        close_old_connections()  # one that the server dropped meanwhile is made anew
        return function(*args, **kwargs)

    return await asyncio.get_running_loop().run_in_executor(_pool, call)
