"""``Idempotency-Key``: one effect, and the same answer to whoever asks again."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from executor import task_manager
from executor.models import Task
from gateway.errors import NotReady
from lifecycle.models import IdempotencyKey
from tests import make

pytestmark = pytest.mark.engine

REPLAYED = "Idempotency-Replayed"


def submitted(site, trace, once, description="once", **options):
    body = {"trace_id": trace, "description": description}
    return site.post("/tasks", body, headers={"Idempotency-Key": once}, **options)


def count(site, trace):
    return len(site.get(f"/traces/{trace}/tasks?limit=200").json()["items"])


def test_fifty_at_once_make_one_task_and_get_one_answer(site):
    trace, key = site.trace(), uuid.uuid4().hex

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: submitted(site, trace, key), range(50)))

    assert {one.status_code for one in answers} == {201}
    assert all(one.json() == answers[0].json() for one in answers)
    assert len({one.headers["Location"] for one in answers}) == 1
    assert sum(REPLAYED not in one.headers for one in answers) == 1
    assert {one.headers.get(REPLAYED, "true") for one in answers} == {"true"}
    assert count(site, trace) == 1


def test_fifty_keys_at_once_make_fifty_tasks(site):
    trace = site.trace()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: submitted(site, trace, f"{trace}-{number}"), range(50)))

    assert {one.status_code for one in answers} == {201}
    assert count(site, trace) == 50


def test_the_answer_is_the_same_after_a_restart_of_the_server(site):
    trace, key = site.trace(), uuid.uuid4().hex
    first = submitted(site, trace, key)
    site.final(first.json()["id"])

    site.restart_web()
    again = submitted(site, trace, key)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers[REPLAYED] == "true"
    assert count(site, trace) == 1


def test_another_body_under_the_same_key_is_a_mismatch(site):
    trace, key = site.trace(), uuid.uuid4().hex
    submitted(site, trace, key)

    other = submitted(site, trace, key, "another")

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert count(site, trace) == 1


def test_the_keys_of_two_callers_never_meet(site):
    trace, key = site.trace(), uuid.uuid4().hex
    one, two = site.inside("key"), site.inside("key")  # of the same name, too

    answers = [submitted(site, trace, key, key=caller) for caller in (one, two)]

    assert [REPLAYED in answer.headers for answer in answers] == [False, False]
    assert answers[0].json()["id"] != answers[1].json()["id"]
    assert count(site, trace) == 2


def test_the_same_key_on_another_path_is_another_request(site):
    key = uuid.uuid4().hex
    traces = [
        site.post(path, body, headers={"Idempotency-Key": key})
        for path, body in (
            ("/workspaces", {"id": f"w-{key}"}),
            ("/traces", {"workspace_id": f"w-{key}", "agent_type": "echo"}),
        )
    ]

    assert [one.status_code for one in traces] == [201, 201]
    assert not any(REPLAYED in one.headers for one in traces)


def test_retries_are_made_once_too(site):
    task = site.run()
    key = {"Idempotency-Key": uuid.uuid4().hex}

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: site.post(f"/tasks/{task['id']}/retry", headers=key), range(10)))

    assert all(one.json() == answers[0].json() for one in answers)
    assert answers[0].json()["retry_of"] == task["id"]
    assert count(site, task["trace_id"]) == 2


def test_without_a_key_each_request_counts(site):
    trace = site.trace()

    for _ in range(2):
        site.post("/tasks", {"trace_id": trace, "description": "twice"})

    assert count(site, trace) == 2


def test_a_key_is_free_again_after_a_day(site):
    trace, key = site.trace(), uuid.uuid4().hex
    first = submitted(site, trace, key)

    site.inside("age_idempotency_keys", hours=23)
    assert submitted(site, trace, key).json()["id"] == first.json()["id"]
    site.inside("age_idempotency_keys", hours=25)
    again = submitted(site, trace, key, "another body")

    assert again.status_code == 201
    assert again.json()["id"] != first.json()["id"]


@pytest.mark.django_db
def test_a_refusal_is_replayed_too_even_when_its_reason_is_gone(api):
    make.an_agent_type()
    key = {"Idempotency-Key": "k"}
    body = {"workspace_id": "late", "agent_type": "later"}

    first = api.post("/api/v1/traces", body, "json", headers=key)
    make.an_agent_type("later")
    again = api.post("/api/v1/traces", body, "json", headers=key)

    assert (first.status_code, again.status_code) == (404, 404)
    assert {**again.json(), "request_id": ""} == {**first.json(), "request_id": ""}
    assert again["Content-Type"] == "application/problem+json"
    assert again[REPLAYED] == "true"


@pytest.mark.django_db
@pytest.mark.parametrize(("failure", "status"), [(RuntimeError("a bug"), 500), (NotReady("not yet"), 503)])
def test_an_error_of_ours_is_not_kept(api, monkeypatch, failure, status):
    trace = make.a_trace()
    body = {"trace_id": str(trace.pk), "description": "x"}

    submit = task_manager.submit

    def failing(*args, **options):
        submit(*args, **options)  # what was done before it failed is undone
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(task_manager, "submit", failing)
        assert api.post("/api/v1/tasks", body, "json", headers={"Idempotency-Key": "k"}).status_code == status
    assert not IdempotencyKey.objects.exists()
    assert not Task.objects.exists()

    answer = api.post("/api/v1/tasks", body, "json", headers={"Idempotency-Key": "k"})

    assert answer.status_code == 201
    assert REPLAYED not in answer


@pytest.mark.django_db
def test_who_may_not_gets_no_kept_answer(api, client_with):
    """Rights are looked at before what is kept, and a refusal for want of a right is not kept."""
    trace = make.a_trace()
    body = {"trace_id": str(trace.pk), "description": "x"}

    refused = client_with("read").post("/api/v1/tasks", body, "json", headers={"Idempotency-Key": "k"})

    assert refused.status_code == 403
    assert not IdempotencyKey.objects.exists()
