"""One hub a web process: hears news once, reads each new event once, serialises it once, for all who watch.

A watcher keeps its own cursor. The hub keeps the newest events of each watched task ready; who is behind
them reads the log itself until it has caught up. Pokes carry nothing: whatever was lost is found by a look
that comes every second anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from django.db import DatabaseError

from executor import doorbell, events
from executor.models import Task
from executor.states import FINAL
from lifecycle.database_threads import run

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
TAIL = 512
"""Events of a task that are kept ready."""
READ = 500
"""Events read at once."""


@dataclass(frozen=True)
class Entry:
    """One event, as it goes out."""

    seq: int
    type: str
    json: bytes


@dataclass(frozen=True)
class Head:
    """Where a task stands."""

    task_id: UUID
    status: str
    reason: str | None
    last_seq: int

    @property
    def final(self) -> bool:
        """Whether nothing comes after ``last_seq``."""
        return self.status in FINAL

    def frame(self) -> bytes:
        """The state frame of a socket."""
        told = {"type": "state", "task_id": str(self.task_id), "status": self.status}
        return orjson.dumps({**told, "reason": self.reason, "last_seq": self.last_seq})


@dataclass
class Feed:
    """What the hub knows of one watched task."""

    head: Head
    tail: deque[Entry] = field(default_factory=lambda: deque(maxlen=TAIL))
    watchers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def update(self, head: Head, entries: list[Entry]) -> None:
        """Take a newer state and wake everyone."""
        self.head = head
        if self.tail and entries and entries[0].seq != self.tail[-1].seq + 1:
            self.tail.clear()  # so much came at once that some is only in the log
        self.tail.extend(entries)
        self.wake()

    def wake(self) -> None:
        """Wake everyone who waits now; who waits later waits for the next change."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


@dataclass
class Group:
    """A trace or workspace that is watched for its tasks' states."""

    filters: dict[str, Any]
    known: dict[UUID, Head] = field(default_factory=dict)
    queues: set[asyncio.Queue[Head]] = field(default_factory=set)


class Hub:
    """Watched tasks and groups of this process."""

    def __init__(self) -> None:
        self._feeds: dict[UUID, Feed] = {}
        self._groups: dict[tuple[str, str], Group] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._poked = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def watch(self, task_id: UUID) -> AsyncIterator[Feed]:
        """The feed of a task while it is watched. Joined before it is read, so that nothing falls between."""
        self._start()
        feed = self._feeds.get(task_id)
        if feed is None:
            [head] = await run(_heads, [task_id])
            feed = self._feeds.setdefault(task_id, Feed(head))
        feed.watchers += 1
        try:
            yield feed
        finally:
            feed.watchers -= 1
            if not feed.watchers:
                self._feeds.pop(task_id, None)

    @contextlib.asynccontextmanager
    async def watch_group(
        self, kind: str, key: str, filters: dict[str, Any]
    ) -> AsyncIterator[asyncio.Queue[Head]]:
        """States of the unfinished tasks of a group, first as they are, then as they change."""
        self._start()
        group = self._groups.setdefault((kind, key), Group(filters))
        queue: asyncio.Queue[Head] = asyncio.Queue(maxsize=10_000)
        for head in group.known.values():
            queue.put_nowait(head)
        group.queues.add(queue)
        self._poked.set()
        try:
            yield queue
        finally:
            group.queues.discard(queue)
            if not group.queues:
                self._groups.pop((kind, key), None)

    async def read(self, feed: Feed, after: int, limit: int = READ) -> list[Entry]:
        """The events after ``after``, from what is ready if that reaches back so far, else from the log."""
        tail = feed.tail
        if after >= feed.head.last_seq:
            return []
        if tail and tail[0].seq <= after + 1:
            start = after + 1 - tail[0].seq
            return [tail[index] for index in range(start, min(start + limit, len(tail)))]
        return await run(_entries, feed.head.task_id, after, limit)

    def _start(self) -> None:
        if self._pump is not None and not self._pump.done():
            return
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            threading.Thread(target=self._listen, name="hub", daemon=True).start()
        self._pump = asyncio.create_task(self._pump_news())

    def _listen(self) -> None:
        listener = doorbell.listen("news")
        while True:
            if listener.wait(LOOK_SECONDS) and self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closing
                    self._loop.call_soon_threadsafe(self._poked.set)

    async def _pump_news(self) -> None:
        while self._feeds or self._groups:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._poked.wait(), LOOK_SECONDS)
            self._poked.clear()
            try:
                await self._look()
            except DatabaseError as exc:
                logger.warning("The hub cannot read: %s", exc)
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        known = {key: (feed.head.last_seq, feed.head) for key, feed in self._feeds.items()}
        news = await run(_news, known)
        for head, entries in news:
            feed = self._feeds.get(head.task_id)
            if feed is not None:
                feed.update(head, entries)
        for group in list(self._groups.values()):
            heads = await run(_group_heads, group.filters, list(group.known))
            self._tell(group, heads)

    def _tell(self, group: Group, heads: list[Head]) -> None:
        changed = [head for head in heads if group.known.get(head.task_id) != head]
        group.known = {head.task_id: head for head in heads if not head.final}
        for queue in list(group.queues):
            for head in changed:
                try:
                    queue.put_nowait(head)
                except asyncio.QueueFull:
                    group.queues.discard(queue)  # its socket does not read: it is closed when it notices


hub = Hub()


def _heads(keys: list[UUID]) -> list[Head]:
    rows = Task.objects.filter(pk__in=keys).values_list("pk", "status", "reason", "last_seq")
    return [Head(*row) for row in rows]


def _entries(task_id: UUID, after: int, limit: int) -> list[Entry]:
    return [Entry(one["seq"], one["type"], orjson.dumps(one)) for one in events.after(task_id, after, limit)]


def _news(known: dict[UUID, tuple[int, Head]]) -> list[tuple[Head, list[Entry]]]:
    news = []
    for head in _heads(list(known)):
        seen, old = known[head.task_id]
        if head == old:
            continue
        # Only the newest are kept ready; who is further behind reads the log.
        first = max(seen, head.last_seq - TAIL)
        entries = [one for one in _entries(head.task_id, first, TAIL) if one.seq <= head.last_seq]
        news.append((head, entries))
    return news


def _group_heads(filters: dict[str, Any], known: list[UUID]) -> list[Head]:
    fields = ("pk", "status", "reason", "last_seq")
    unfinished = Task.objects.filter(**filters).exclude(status__in=FINAL).values_list(*fields)[:5_000]
    heads = [Head(*row) for row in unfinished]
    ended = set(known) - {head.task_id for head in heads}
    return heads + (_heads(list(ended)) if ended else [])
