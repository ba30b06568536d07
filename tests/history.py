"""The history checker: tells what is wrong with the life of tasks, as their rows tell it.

Used after every test that touches the database, and after every fault that the chaos tests inject.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from executor.models import Attempt, Task, TaskEvent
from executor.states import FINAL, LEASED, MOVES, TaskStatus

S = TaskStatus

STATE_AFTER = {
    "task.submitted": S.PENDING,
    "task.started": S.RUNNING,
    "task.resumed": S.RUNNING,
    "task.waiting": S.WAITING,
    "task.retrying": S.PENDING,
    "task.released": S.PENDING,
    "task.cancelling": S.CANCELLING,
    "task.completed": S.COMPLETED,
    "task.failed": S.FAILED,
    "task.cancelled": S.CANCELLED,
}
COMES_FROM = {"task.started": S.PENDING, "task.resumed": S.WAITING}
"""Events that lead to the same state, but from different ones."""
FAILURES = {"error", "timeout", "worker_lost"}
LAST_OUTCOME = {S.COMPLETED: {"completed"}, S.FAILED: FAILURES | {"agent_not_configured"}}


def violations(tasks: Iterable[Task] | None = None, *, using: str = "default") -> list[str]:
    """Return a sentence for everything that is wrong with ``tasks`` (None: with all in the database)."""
    rows = list(Task.objects.using(using) if tasks is None else tasks)
    ids = [row.pk for row in rows]
    events: dict[UUID, list[TaskEvent]] = defaultdict(list)
    attempts: dict[UUID, list[Attempt]] = defaultdict(list)
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        for event in TaskEvent.objects.using(using).filter(task__in=some).order_by("seq"):
            events[event.task_id].append(event)
        for attempt in Attempt.objects.using(using).filter(task__in=some).order_by("number"):
            attempts[attempt.task_id].append(attempt)
    return [problem for row in rows for problem in violations_of(row, events[row.pk], attempts[row.pk])]


def violations_of(task: Task, events: Sequence[TaskEvent], attempts: Sequence[Attempt]) -> list[str]:
    """Return a sentence for everything that is wrong with one task; ``events`` in order of ``seq``."""
    found = [
        *_numbering(task, events),
        *_moves(task, events),
        *_end(task, events),
        *_attempt_numbers(task, events),
        *_said_in_time(events),
        *_attempt_rows(task, attempts),
        *_leases(task, attempts),
        *_outcomes(task, attempts),
    ]
    return [f"task {task.pk}: {problem}" for problem in found]


def _numbering(task: Task, events: Sequence[TaskEvent]) -> list[str]:
    numbers = [event.seq for event in events]
    found = []
    if numbers != list(range(1, len(numbers) + 1)):
        found.append(f"its events are numbered {_short(numbers)}, not 1 to {len(numbers)}")
    if task.last_seq != (numbers[-1] if numbers else 0):
        found.append(
            f"last_seq is {task.last_seq}, but its last event is {numbers[-1] if numbers else 'none'}"
        )
    return found


def _moves(task: Task, events: Sequence[TaskEvent]) -> list[str]:
    steps = [event for event in events if event.type.startswith("task.")]
    found = [f"event {event.seq} {event.type} is unknown" for event in steps if event.type not in STATE_AFTER]
    steps = [event for event in steps if event.type in STATE_AFTER]
    if not steps or events[0].type != "task.submitted":
        return [*found, "its first event is not task.submitted"]
    state = S.PENDING
    for event in steps[1:]:
        target = STATE_AFTER[event.type]
        if target not in MOVES[state] or COMES_FROM.get(event.type, state) != state:
            found.append(f"event {event.seq} {event.type} is no move from {state}")
        state = target
    if task.status != state:
        found.append(f"it is {task.status}, but its last move made it {state}")
    return found


def _end(task: Task, events: Sequence[TaskEvent]) -> list[str]:
    ends = [event.seq for event in events if STATE_AFTER.get(event.type) in FINAL]
    found = []
    if len(ends) != (task.status in FINAL):
        found.append(f"it is {task.status} and has {len(ends)} terminal events")
    if ends and events[-1].seq > ends[0]:
        found.append(f"event {events[-1].seq} {events[-1].type} comes after its end {ends[0]}")
    if (task.finished_at is not None) != (task.status in FINAL):
        found.append(f"it is {task.status} with finished_at {task.finished_at}")
    return found


def _attempt_numbers(task: Task, events: Sequence[TaskEvent]) -> list[str]:
    found = []
    starts = [event.attempt for event in events if event.type == "task.started"]
    if starts != list(range(1, task.attempt + 1)):
        found.append(f"its starts are of attempts {_short(starts)}, and its attempt is {task.attempt}")
    latest = 0
    for event in events:
        if event.type == "task.started":
            latest = event.attempt
        elif event.attempt < latest:
            found.append(
                f"event {event.seq} {event.type} of attempt {event.attempt} follows the start of {latest}"
            )
        elif event.attempt > latest:
            found.append(
                f"event {event.seq} {event.type} is of attempt {event.attempt}, which has not started"
            )
    return found


def _said_in_time(events: Sequence[TaskEvent]) -> list[str]:
    found = []
    state = S.PENDING
    for event in events:
        if event.type in STATE_AFTER:
            state = STATE_AFTER[event.type]
        elif state not in LEASED:
            found.append(f"event {event.seq} {event.type} was written while it was {state}")
    return found


def _attempt_rows(task: Task, attempts: Sequence[Attempt]) -> list[str]:
    numbers = [attempt.number for attempt in attempts]
    if numbers != list(range(1, task.attempt + 1)):
        return [f"its attempt is {task.attempt}, but there are rows of {_short(numbers)}"]
    return [
        f"attempt {attempt.number} ended at {attempt.ended_at} with outcome {attempt.outcome}"
        for attempt in attempts
        if (attempt.ended_at is None) != (attempt.outcome is None)
    ]


def _leases(task: Task, attempts: Sequence[Attempt]) -> list[str]:
    live = [attempt for attempt in attempts if attempt.ended_at is None]
    found = []
    if len(live) != (task.status in LEASED):
        found.append(f"it is {task.status} with {len(live)} live attempts")
    if live and live[-1].number != task.attempt:
        found.append(f"attempt {live[-1].number} is alive, but the latest is {task.attempt}")
    tokens = [attempt.token for attempt in live] if task.status in LEASED else [None]
    if task.lease_token not in tokens:
        found.append(f"it is {task.status}, and its token is not that of its live attempt")
    return found


def _outcomes(task: Task, attempts: Sequence[Attempt]) -> list[str]:
    found = []
    last = str(attempts[-1].outcome) if attempts else None
    if task.status in LAST_OUTCOME and last not in LAST_OUTCOME[S(task.status)]:
        found.append(f"it is {task.status}, but its last attempt came to {last}")
    early = [attempt.number for attempt in attempts[:-1] if attempt.outcome in ("completed", "cancelled")]
    if early:
        found.append(f"attempt {early[0]} of {task.attempt} had ended the task already")
    failed = sum(attempt.outcome in FAILURES for attempt in attempts)
    if task.failures > failed or task.failures > task.max_attempts:
        found.append(f"{task.failures} failures are counted; {failed} of {task.max_attempts} attempts failed")
    return found


def _short(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:12]))
    return f"[{shown}{', …' if len(numbers) > 12 else ''}]"
