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
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from executor import doorbell, events
from executor.models import Task
from executor.states import FINAL
from gateway.errors import NotFound
from lifecycle import json_bytes
from lifecycle.database_threads import run

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
GAP_SECONDS = 0.02
"""Between two looks: in a burst each finds several events then."""
TAIL = 512
"""Events of a task that are kept ready, as long as they have no more than ``TAIL_BYTES``."""
TAIL_BYTES = 512 * 1024
READ = 500
"""Events read at once, as long as they have no more than about ``READ_BYTES``."""
READ_BYTES = 512 * 1024
"""A socket's frame may have 1 MiB."""
ROWS = 32
"""Rows of the log that are in memory at a time: one may have 64 KiB."""
MAX_BEHIND = 10_000
"""States that wait for a socket before it is given up."""
OVERLAP = timedelta(seconds=5)
"""How far a look at a group reaches back, for rows that another machine's clock dates a little earlier."""


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
        return json_bytes.dumps({**told, "reason": self.reason, "last_seq": self.last_seq})


@dataclass
class Feed:
    """What the hub knows of one watched task."""

    head: Head
    tail: deque[Entry] = field(default_factory=deque)
    watchers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    alarms: set[asyncio.Event] = field(default_factory=set)
    """Set at each change: of watchers that wait for other things too."""

    def update(self, head: Head, entries: list[Entry]) -> None:
        """Take a newer state and wake everyone; one that was read before the present one is dropped."""
        if head.last_seq < self.head.last_seq:
            return
        self.head = head
        if self.tail and entries and entries[0].seq != self.tail[-1].seq + 1:
            self.tail.clear()  # so much came at once that some is only in the log
        self.tail.extend(entries)
        trim(self.tail)
        self.wake()

    def wake(self) -> None:
        """Wake everyone who waits now; who waits later waits for the next change."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()
        for alarm in self.alarms:
            alarm.set()


@dataclass
class Group:
    """A trace or workspace that is watched for its tasks' states."""

    filters: dict[str, Any]
    since: datetime = field(default_factory=timezone.now)
    """Tasks that were made later are told of even if they were final before anyone looked."""
    known: dict[UUID, Head] = field(default_factory=dict)
    queues: set[asyncio.Queue[Head | None]] = field(default_factory=set)


class Hub:
    """Watched tasks and groups of this process."""

    def __init__(self) -> None:
        self._feeds: dict[UUID, Feed] = {}
        self._groups: dict[tuple[str, str], Group] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._poked = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def watch(self, task_id: UUID, alarm: asyncio.Event | None = None) -> AsyncIterator[Feed]:
        """The feed of a task while it is watched. Joined before it is read, so that nothing falls between.

        ``alarm`` is set at each change, for who waits for other things too.
        """
        feed = self._feeds.get(task_id)
        if feed is None:
            heads = await run(_heads, [task_id])
            if not heads:
                raise NotFound(f"There is no task {task_id}.")
            feed = self._feeds.setdefault(task_id, Feed(heads[0]))
        feed.watchers += 1
        if alarm is not None:
            feed.alarms.add(alarm)
        self._start()
        try:
            yield feed
        finally:
            feed.watchers -= 1
            if alarm is not None:
                feed.alarms.discard(alarm)
            if not feed.watchers:
                self._feeds.pop(task_id, None)

    @contextlib.asynccontextmanager
    async def watch_group(
        self, kind: str, key: str, filters: dict[str, Any]
    ) -> AsyncIterator[asyncio.Queue[Head | None]]:
        """States of the unfinished tasks of a group, first as they are, then as they change.

        None says that its reader fell too far behind and gets no more.
        """
        group = self._groups.setdefault((kind, key), Group(filters))
        queue: asyncio.Queue[Head | None] = asyncio.Queue()
        for head in group.known.values():
            if not head.final:
                queue.put_nowait(head)
        group.queues.add(queue)
        self._start()
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
        # After joining: a pump that finds nobody to pump for ends. And a look at once, for what happened
        # between the reading of a task's state and the joining.
        self._poked.set()
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
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._poked.wait()
            self._poked.clear()
            try:
                await self._look()
            except (DatabaseError, InterfaceError) as exc:
                logger.warning("The hub cannot read: %s", exc)
                await asyncio.sleep(LOOK_SECONDS)
            except Exception:
                logger.exception("The hub failed; it goes on")
                await asyncio.sleep(LOOK_SECONDS)
            await asyncio.sleep(GAP_SECONDS)

    async def _look(self) -> None:
        known = {key: (feed.head.last_seq, feed.head) for key, feed in self._feeds.items()}
        news = await run(_news, known)
        for head, entries in news:
            feed = self._feeds.get(head.task_id)
            if feed is not None:
                feed.update(head, entries)
        for group in list(self._groups.values()):
            began = timezone.now()
            heads = await run(_group_heads, group.filters, dict(group.known), group.since)
            group.since = max(group.since, began - OVERLAP)
            _tell(group, heads)


hub = Hub()


def trim(tail: deque[Entry]) -> None:
    """Drop the oldest entries that are too many, or too large together."""
    size = sum(len(one.json) for one in tail)
    while len(tail) > TAIL or (size > TAIL_BYTES and len(tail) > 1):
        size -= len(tail.popleft().json)


def _tell(group: Group, heads: list[Head]) -> None:
    changed = [head for head in heads if group.known.get(head.task_id) != head]
    group.known = {head.task_id: head for head in heads}
    for queue in list(group.queues):
        if queue.qsize() > MAX_BEHIND:
            group.queues.discard(queue)
            queue.put_nowait(None)
            continue
        for head in changed:
            queue.put_nowait(head)


def _heads(keys: list[UUID]) -> list[Head]:
    rows = Task.objects.filter(pk__in=keys).values_list("pk", "status", "reason", "last_seq")
    return [Head(*row) for row in rows]


def _entries(task_id: UUID, after: int, limit: int = READ) -> list[Entry]:
    found: list[Entry] = []
    size = 0
    for entry in _each_entry(task_id, after, limit):
        found.append(entry)
        size += len(entry.json)
        if size > READ_BYTES:
            break
    return found


def _newest(task_id: UUID, after: int, upto: int) -> list[Entry]:
    """As many of the newest entries as are kept ready."""
    newest: deque[Entry] = deque()
    for count, entry in enumerate(_each_entry(task_id, max(after, upto - TAIL), TAIL)):
        if entry.seq > upto:
            break
        newest.append(entry)
        if count % ROWS == 0:
            trim(newest)
    trim(newest)
    return list(newest)


def _each_entry(task_id: UUID, after: int, limit: int) -> Iterator[Entry]:
    while limit > 0:
        rows = events.after(task_id, after, min(ROWS, limit))
        for one in rows:
            yield Entry(one["seq"], one["type"], json_bytes.dumps(one))
        if len(rows) < ROWS:
            return
        after = rows[-1]["seq"]
        limit -= len(rows)


def _news(known: dict[UUID, tuple[int, Head]]) -> list[tuple[Head, list[Entry]]]:
    news = []
    for head in _heads(list(known)):
        seen, old = known[head.task_id]
        if head == old:
            continue
        # Only the newest are kept ready; who is further behind reads the log.
        news.append((head, _newest(head.task_id, seen, head.last_seq)))
    return news


def _group_heads(filters: dict[str, Any], known: dict[UUID, Head], since: datetime) -> list[Head]:
    fields = ("pk", "status", "reason", "last_seq")
    rows = Task.objects.filter(**filters)
    unfinished = rows.exclude(status__in=FINAL).values_list(*fields)[:5_000]
    # A short task can be made and final between two looks: the newest ids are looked at whatever they are.
    latest = rows.filter(pk__gte=_first_id_of(since), status__in=FINAL).values_list(*fields)[:5_000]
    heads = {row[0]: Head(*row) for row in [*unfinished, *latest]}
    ended = [key for key, head in known.items() if key not in heads and not head.final]
    found = [*heads.values(), *(_heads(ended) if ended else [])]
    return sorted(found, key=lambda head: head.task_id)  # in order of submission


def _first_id_of(moment: datetime) -> UUID:
    """The smallest UUIDv7 of a moment."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
