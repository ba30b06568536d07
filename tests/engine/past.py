"""The history checker: what must be true of all rows, whatever was killed on the way."""

from collections import Counter, defaultdict
from typing import Any

Row = dict[str, Any]

FINAL = {"task.completed": "completed", "task.failed": "failed", "task.cancelled": "cancelled"}
LEASED = {"running", "waiting", "cancelling"}
# event type: (statuses it may come from, status it leads to)
STEPS: dict[str, tuple[set[str], str]] = {
    "task.submitted": ({"none"}, "pending"),
    "task.started": ({"pending"}, "running"),
    "task.waiting": ({"running"}, "waiting"),
    "task.resumed": ({"waiting"}, "running"),
    "task.retrying": ({"running", "waiting"}, "pending"),
    "task.released": ({"running", "waiting"}, "pending"),
    "task.cancelling": ({"running", "waiting"}, "cancelling"),
    "task.completed": ({"running", "waiting"}, "completed"),
    "task.failed": ({"running", "waiting"}, "failed"),
    "task.cancelled": ({"pending", *LEASED}, "cancelled"),
}
FAILURES = {"error", "timeout", "worker_lost"}


def problems(rows: dict[str, list[Row]], starts: Counter[tuple[str, int]]) -> list[str]:
    """Sentences about everything that is wrong; none, if the history is clean.

    ``starts`` counts how often each attempt's body really began.
    """
    attempts: dict[str, list[Row]] = defaultdict(list)
    events: dict[str, list[Row]] = defaultdict(list)
    for row in rows["attempts"]:
        attempts[row["task_id"]].append(row)
    for row in rows["events"]:
        events[row["task_id"]].append(row)
    found = []
    for task in rows["tasks"]:
        mine = [*_of_log(task, events[task["id"]]), *_of_attempts(task, attempts[task["id"]])]
        found += [f"task {task['id']} ({task['status']}/{task['reason']}): {one}" for one in mine]
    known = {(task_id, row["number"]) for task_id, some in attempts.items() for row in some}
    for (task_id, number), count in starts.items():
        if count > 1:
            found.append(f"attempt {number} of {task_id} began {count} times")
        if (task_id, number) not in known:
            found.append(f"attempt {number} of {task_id} began but was never claimed")
    return found


def _of_log(task: Row, events: list[Row]) -> list[str]:
    found = []
    numbers = [one["seq"] for one in events]
    if numbers != list(range(1, task["last_seq"] + 1)):
        found.append(f"its log is numbered {numbers}, not 1 to {task['last_seq']}")
    status, attempt = "none", 0
    for one in events:
        kind = one["type"]
        if kind not in STEPS:
            if status not in LEASED:
                found.append(f"{kind} (seq {one['seq']}) was written while it was {status}")
        elif status not in STEPS[kind][0]:
            found.append(f"{kind} (seq {one['seq']}) came while it was {status}")
        if kind == "task.started":
            attempt += 1
        if one["attempt"] != attempt:
            found.append(f"{kind} (seq {one['seq']}) is of attempt {one['attempt']} during attempt {attempt}")
        status = STEPS[kind][1] if kind in STEPS else status
    if status != task["status"]:
        found.append(f"its log says {status}")
    ends = [one["type"] for one in events if one["type"] in FINAL]
    if len(ends) != (task["status"] in FINAL.values()):
        found.append(f"its terminal events are {ends}")
    return found


def _of_attempts(task: Row, attempts: list[Row]) -> list[str]:
    found = []
    numbers = [one["number"] for one in attempts]
    if numbers != list(range(1, task["attempt"] + 1)):
        found.append(f"its attempts are {numbers}, not 1 to {task['attempt']}")
    live = [one["number"] for one in attempts if one["ended_at"] is None]
    if len(live) != (task["status"] in LEASED) or (live and live != numbers[-1:]):
        found.append(f"its live attempts are {live}")
    if (task["lease_token"] is not None) != (task["status"] in LEASED):
        found.append("it has a lease exactly when it should not")
    failures = sum(one["outcome"] in FAILURES for one in attempts)
    if failures != task["failures"] or failures > task["max_attempts"]:
        found.append(f"{failures} attempts failed, it counted {task['failures']} of {task['max_attempts']}")
    return found
