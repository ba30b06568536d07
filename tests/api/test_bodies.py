"""Bodies, queries and ids that are wrong in every way are refused, on every database, and never break us."""

import base64
import json

import pytest

from tests import make

pytestmark = pytest.mark.django_db

JSON = "application/json"
DEEP = 100_000
NOBODY = "01a21202-8f2c-7000-8000-000000000000"
LONE = "\\ud800"


@pytest.fixture
def trace(db):
    return str(make.a_trace().pk)


def submitted(api, trace, **fields):
    return api.post("/api/v1/tasks", {"trace_id": trace, "description": "x", **fields}, format="json")


def posted(api, body, path="/api/v1/tasks", content_type=JSON):
    return api.post(path, body, content_type=content_type)


def problem_of(response, status):
    """The problem of a refusal with this status; every refusal has the same shape."""
    assert response.status_code == status, response.content[:500]
    assert response["Content-Type"] == "application/problem+json"
    problem = json.loads(response.content)
    assert {"type", "title", "status", "detail", "code", "hint", "request_id", "errors"} <= set(problem)
    assert problem["status"] == status
    return problem


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"input": ' + b"[" * DEEP + b"]" * DEEP + b"}", id="nested lists"),
        pytest.param(b'{"input": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", id="nested objects"),
        pytest.param(b"[" * DEEP, id="unclosed lists"),
        pytest.param(b"[" * 65 + b"]" * 65, id="65 levels"),
        pytest.param(b'{"description": "a\x00b"}', id="raw NUL"),
        pytest.param(rb'{"description": "a\u0000b"}', id="escaped NUL"),
        pytest.param(rb'{"description": "a\\\u0000b"}', id="escaped NUL after a backslash"),
        pytest.param(rb'{"\u0000": 1}', id="NUL in a name"),
        pytest.param(b'{"input": NaN}', id="NaN"),
        pytest.param(b'{"input": Infinity}', id="Infinity"),
        pytest.param(b'{"input": [-Infinity]}', id="-Infinity"),
        pytest.param(b'{"input": ' + b"9" * 5000 + b"}", id="5,000 digits"),
        pytest.param(b'{"description": "\xff\xfe"}', id="not UTF-8"),
        pytest.param(b'{"description": "\xed\xa0\x80"}', id="a surrogate in UTF-8"),
        pytest.param('{"description": "x"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"description": "x"', id="cut off"),
        pytest.param(b'{"description": "x"} {}', id="two values"),
        pytest.param(b"{'description': 'x'}", id="single quotes"),
        pytest.param(b'{"description": "x", "description": "y"}', id="a name twice"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b'{"a": "' + b'\\"' * 500_000, id="a string of quotes without an end"),
        pytest.param(b'"' * 1_000_001, id="quotes"),
    ],
)
def test_a_body_that_cannot_be_read_is_400(api, body):
    assert problem_of(posted(api, body), 400)["code"] == "bad_request"


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"true", b'[{"description": "x"}]'])
def test_a_body_that_is_no_object_is_422(api, body):
    problem_of(posted(api, body), 422)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "nonsense",
    ],
)
def test_a_body_of_another_kind_is_415(api, content_type):
    problem_of(posted(api, b'{"description": "x"}', content_type=content_type), 415)


def test_an_escaped_backslash_before_u0000_is_no_nul(api, trace):
    body = rb'{"trace_id": "%s", "description": "a\\u0000b"}' % trace.encode()

    answer = posted(api, body)

    assert answer.status_code == 201
    assert answer.json()["description"] == r"a\u0000b"


def test_64_levels_are_read(api, trace):
    value: object = 1
    for _ in range(62):
        value = [value]

    assert submitted(api, trace, input=value).status_code == 201


def test_a_body_full_of_escapes_is_judged_in_one_pass(api, trace):
    """Each judged from its own beginning, a body of 1 MB would take minutes."""
    for text in (rb"\\u0000" * 150_000, rb"\\" * 500_000, rb"\"" * 500_000):
        body = b'{"trace_id": "%s", "description": "%s"}' % (trace.encode(), text)
        problem = problem_of(posted(api, body), 422)
        assert problem["errors"][0]["field"] == "description"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (f'{{"trace_id": "{LONE}", "description": "x"}}', 422),
        (f'{{"trace_id": "%(trace)s", "description": "{LONE}"}}', 422),
        (f'{{"trace_id": "%(trace)s", "description": "x", "{LONE}": 1}}', 422),
        (f'{{"trace_id": "%(trace)s", "description": "x", "on_busy": "{LONE}"}}', 422),
        (f'{{"trace_id": "%(trace)s", "description": "x", "labels": {{"{LONE}": "x"}}}}', 422),
        (f'{{"trace_id": "%(trace)s", "description": "x", "labels": {{"x": "{LONE}"}}}}', 422),
        (f'{{"trace_id": "%(trace)s", "description": "x", "input": ["{LONE}"]}}', 422),
        (f'{{"trace_id": "%(trace)s", "description": "x", "priority": "{LONE}"}}', 422),
        (f'{{"trace_id": "%(trace)s", "description": "x", "run_at": "{LONE}"}}', 422),
    ],
)
def test_half_a_surrogate_pair_is_refused_wherever_it_stands(api, trace, body, status):
    problem_of(posted(api, body % {"trace": trace}), status)
    again = api.post(
        "/api/v1/tasks", body % {"trace": trace}, content_type=JSON, headers={"Idempotency-Key": "k"}
    )
    problem_of(again, status)


@pytest.mark.parametrize("number", [2**53, 2**63, 2**64, -(2**64), 10**99])
def test_a_large_number_comes_back_as_it_was(api, trace, number):
    answer = submitted(api, trace, input={"n": number})

    assert answer.status_code == 201
    assert answer.json()["input"] == {"n": number}
    assert api.get(f"/api/v1/traces/{trace}/tasks").json()["items"][0]["input"] == {"n": number}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", 10**101),
        ("description", ""),
        ("description", "   "),
        ("description", "x" * 32_769),
        ("description", None),
        ("description", ["x"]),
        ("priority", 101),
        ("priority", -101),
        ("priority", 10**30),
        ("priority", 1.5),
        ("priority", "high"),
        ("priority", None),
        ("run_at", "tomorrow"),
        ("run_at", "2026-13-01T00:00:00Z"),
        ("run_at", "0001-01-01T00:00:00+14:00"),
        ("run_at", "9999-12-31T23:59:59-14:00"),
        ("run_at", 5),
        ("timeout_seconds", -1),
        ("timeout_seconds", "nan"),
        ("timeout_seconds", "inf"),
        ("timeout_seconds", 1e300),
        ("max_attempts", 0),
        ("max_attempts", 101),
        ("max_attempts", 2**70),
        ("on_busy", "explode"),
        ("on_busy", {}),
        ("labels", {"a" * 65: "x"}),
        ("labels", {"a": "x" * 257}),
        ("labels", {str(number): "x" for number in range(33)}),
        ("labels", {"a": 1}),
        ("labels", {"a": {}}),
        ("labels", ["a"]),
        ("labels", {"": "x"}),
        ("nonsense", 1),
        ("id", NOBODY),
        ("status", "completed"),
        ("actor", "someone"),
    ],
)
def test_a_field_that_is_wrong_or_not_known_is_422_and_named(api, trace, field, value):
    problem = problem_of(submitted(api, trace, **{field: value}), 422)

    assert problem["code"] == "invalid"
    assert problem["errors"][0]["field"].split(".")[0] == field


def test_a_number_beyond_floats_is_422(api, trace):
    for field in ("input", "timeout_seconds"):
        body = f'{{"trace_id": "{trace}", "description": "x", "{field}": 1e999}}'
        assert problem_of(posted(api, body), 422)["errors"][0]["field"] == field


def test_fields_that_are_missing_are_422_and_named(api):
    problem = problem_of(posted(api, b"{}"), 422)
    assert {one["field"] for one in problem["errors"]} == {"trace_id", "description"}

    assert {one["field"] for one in problem_of(posted(api, b""), 422)["errors"]} == {
        "trace_id",
        "description",
    }


def test_an_input_over_one_mebibyte_is_422(api, trace):
    fits = "x" * (1024 * 1024 - 2)

    assert submitted(api, trace, input=fits).status_code == 201
    assert problem_of(submitted(api, trace, input=fits + "x"), 422)["errors"][0]["field"] == "input"


def test_metadata_over_64_kibibytes_is_422(api):
    body = {"workspace_id": "w", "agent_type": "echo", "metadata": {"a": "x" * 65536}}
    make.an_agent_type()

    problem = problem_of(api.post("/api/v1/traces", body, format="json"), 422)

    assert problem["errors"][0]["field"] == "metadata"


WRONG_QUERIES = [
    "limit=0", "limit=201", "limit=-1", "limit=x", "limit=1.5", "limit=", "limit=99999999999999999999999",
    "limit=%C2%B2", "limit=%00",
    "limit=5&limit=x", "cursor=x", "cursor=%00", "cursor=é", "cursor=" + "A" * 5000, "nonsense=1",
    "LIMIT=5", "ordering=-id", "limit[]=5",
    "status=nonsense", "status=%00", "label=a", "label=:x", "label=%00:x", "created_after=x",
    "created_after=2026-01-01", "created_after=",
    "created_after=2026-13-01T00:00:00Z", "created_before=%00", "wait=-1", "wait=1", "wait=nan", "q=%00",
    "workspace_id=%00",
]  # fmt: skip


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/traces"])
def test_a_query_that_is_wrong_or_not_known_is_422_and_named(api, path):
    for query in WRONG_QUERIES:
        problem = problem_of(api.get(f"{path}?{query}"), 422)
        assert problem["errors"][0]["field"] == query.partition("=")[0]


STRANGE_QUERIES = [
    "q=%25", "q=_", "q='; DROP TABLE x--", "q=" + "q" * 3000, "q=%F0%9F%98%80", "q=%ED%A0%80", "q=%FF",
    "q=", "label=a:", "label=a:b:c", "label=a__b:c",
    "label='%22:x", "label=a.b[0]:x", "label=%F0%9F%98%80:x", "label=" + "k" * 3000 + ":v", "label=0:x",
    "label=%24:x", "label=%ED%A0%80:x",
    "workspace_id='", "workspace_id=" + "w" * 3000, "workspace_id=%ED%A0%80", "agent_type=%22",
    "agent_type=",
    "created_after=0001-01-01T00:00:00%2B14:00", "created_before=9999-12-31T23:59:59-14:00",
    "created_after=2026-01-01T00:00:00.123456789Z", "created_after=2026-01-01 00:00:00+00:00",
]  # fmt: skip


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/traces"])
def test_a_query_that_is_strange_but_well_formed_breaks_nothing(api, path):
    make.a_task(make.a_trace(labels={"a": "b"}), labels={"a": "b"})

    for query in STRANGE_QUERIES:
        answer = api.get(f"{path}?{query}")
        assert answer.status_code in (200, 422), answer.content[:500]


def cursor(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


WRONG_CURSORS = [
    cursor(["x"]), cursor([1]), cursor([None]), cursor([]), cursor(["x", "y"]), cursor({}), cursor("x"),
    cursor([["x"]]),
    cursor(["\ud800"]), cursor(["\x00"]), cursor(["9" * 5000]), cursor([NOBODY, "2026-01-01"]),
    cursor(["2026-01-01T00:00:00+00:00", "\ud800"]), cursor(["0001-01-01T00:00:00+14:00", "x"]),
    cursor(["2026-01-01", "x"]),
    base64.urlsafe_b64encode(b"[" * 9000).decode(), base64.urlsafe_b64encode(b"9" * 6000).decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "=", "====", "A", "%F0%9F%98%80", "a b", "..",
]  # fmt: skip


@pytest.mark.parametrize(
    "path", ["tasks", "traces", "workspaces", "agent-types", "agent-types/echo/versions"]
)
def test_a_cursor_that_is_none_is_422(api, path):
    make.a_task()

    for given in WRONG_CURSORS:
        answer = api.get(f"/api/v1/{path}?cursor={given}")

        assert answer.status_code in (200, 422), (given, answer.content[:500])  # a slug sorts like any text
        if answer.status_code == 422:
            assert problem_of(answer, 422)["errors"][0]["field"] == "cursor"


IDS = [
    "x", "0", "-1", "%00", "a%00b", "%ED%A0%80", "%FF", "%F0%9F%98%80", "%2e%2e", "..%2f..",
    "'; DROP TABLE", "%25s", "{}", "null",
    "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-0000000000000",
    "{00000000-0000-0000-0000-000000000000}",
    "urn:uuid:00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000", "9" * 3000,
    "%0d%0aX: y", "..",
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "tasks/{}"), ("get", "tasks/{}/events"), ("get", "tasks/{}/artifacts"),
        ("post", "tasks/{}/cancel"), ("post", "tasks/{}/retry"),
        ("post", "tasks/{}/share"), ("get", "traces/{}"), ("patch", "traces/{}"),
        ("post", "traces/{}/close"), ("get", "traces/{}/tasks"),
        ("get", "traces/{}/spans"), ("get", "workspaces/{}"), ("patch", "workspaces/{}"),
        ("post", "workspaces/{}/archive"),
        ("get", "workspaces/{}/files"), ("get", "workspaces/{}/files/a.txt"),
        ("put", "workspaces/{}/files/a.txt"), ("delete", "workspaces/{}/files/a.txt"),
        ("get", "agent-types/{}"), ("get", "agent-types/{}/versions"),
    ],
)  # fmt: skip
def test_an_id_of_a_wrong_form_is_404(api, method, path):
    for wrong in IDS:
        problem_of(getattr(api, method)(f"/api/v1/{path.format(wrong)}"), 404)


def test_a_refusal_that_names_a_wrong_id_can_be_kept_and_replayed(api):
    """The answer is stored; what came in the address must not make that fail."""
    for wrong in [*IDS, *IDS]:
        answer = api.post(f"/api/v1/tasks/{wrong}/retry", headers={"Idempotency-Key": "once"})
        problem_of(answer, 404)


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "\x00", "a\x00b"])
def test_an_idempotency_key_that_is_none_is_422(api, trace, key):
    answer = api.post(
        "/api/v1/tasks", {"trace_id": trace, "description": "x"}, "json", headers={"Idempotency-Key": key}
    )

    assert problem_of(answer, 422)["errors"][0]["field"] == "Idempotency-Key"


def test_too_many_query_parameters_are_400(api):
    query = "&".join(f"a{number}=1" for number in range(1100))

    problem_of(api.get(f"/api/v1/tasks?{query}"), 400)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "X" * 500])
def test_a_method_that_an_address_does_not_know_is_405(api, method):
    problem = problem_of(api.generic(method, "/api/v1/tasks/bulk"), 405)

    assert problem["detail"]


@pytest.mark.parametrize(
    "path", ["whoami", "tasks", "traces", "stats", "workspaces", "agent-types", "tasks/bulk", "pause"]
)
def test_options_describes_and_changes_nothing(api, path):
    assert api.options(f"/api/v1/{path}").status_code == 200


def test_head_is_get_without_a_body(api):
    answer = api.head("/api/v1/whoami")

    assert answer.status_code == 200
    assert answer.content == b""


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nonsense",
        "/api/v1/",
        "/api/v1/tasks/",
        "/api/v1/tasks/x/y/z",
        "/api/nonsense",
        "/api/v2/tasks",
    ],
)
def test_an_address_that_is_none_is_a_problem_too(api, path):
    assert problem_of(api.get(path), 404)["code"] == "not_found"


def test_an_answer_in_another_form_is_406(api):
    problem_of(api.get("/api/v1/tasks", headers={"Accept": "text/html"}), 406)


@pytest.mark.parametrize("host", ["evil.example", "a b", "[::1", "é", ""])
def test_a_host_that_is_not_ours_is_400(api, host):
    assert problem_of(api.get("/api/v1/tasks", HTTP_HOST=host), 400)["code"] == "bad_request"
