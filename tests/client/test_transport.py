"""One request: what it may wait for, when it is repeated, and what its refusals are called."""

import json
import os
import threading

import pytest

from gateway import errors
from gateway.client.python import GatewayClient
from gateway.client.python.problems import BY_CODE, error_of
from tests.client.running import free_port
from tests.client.strange import answer, hang, problem

WHO = {"kind": "key", "name": "test", "scopes": ["read"], "workspaces": None}


def cut(connection, request):
    """Half of an answer."""
    connection.sendall(
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"kind"'
    )


@pytest.mark.parametrize(
    "trouble",
    [
        lambda connection, request: None,
        cut,
        answer(502, b"<html>", "text/html"),
        answer(504, b"", "text/html"),
        problem(503, "not_ready", retry_after=0),
        problem(429, "too_many_requests", retry_after=0),
        answer(200, b'{"kind": "k', "application/json"),
    ],
    ids=["closed", "half", "502", "504", "503", "429", "half JSON"],
)
def test_a_reading_request_is_repeated_after_trouble_on_the_way(lost, trouble):
    client, server = lost(trouble, trouble, answer(200, WHO))

    assert client.whoami() == WHO
    assert len(server.requests) == 3


def test_retry_after_is_waited_for_and_else_the_pauses_grow(lost):
    client, _ = lost(problem(503, "not_ready", retry_after=7), answer(200, WHO))
    client.whoami()
    assert 7 <= client.pauses[0] < 7.5

    client.pauses.clear()
    client, _ = lost(answer(502, b"", "text/html"))
    with pytest.raises(errors.Unreachable):
        client.whoami()
    assert len(client.pauses) == 4
    assert all(
        0.5 * most <= pause <= most for pause, most in zip(client.pauses, (0.25, 0.5, 1, 2), strict=True)
    )


def test_a_server_that_asks_for_a_long_pause_is_not_waited_for(lost):
    client, server = lost(problem(429, "too_many_requests", retry_after=3600))

    with pytest.raises(errors.TooManyRequests) as caught:
        client.whoami()

    assert caught.value.data["retry_after"] == 3600
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 412, 413, 422, 500])
def test_a_refusal_is_not_repeated(lost, code):
    client, server = lost(answer(code, {"detail": "No."}, "application/problem+json"))

    with pytest.raises(errors.GatewayError) as caught:
        client.whoami()

    assert caught.value.status == code
    assert len(server.requests) == 1


def test_creating_is_repeated_with_the_same_key_and_another_call_has_another(lost):
    made = answer(201, {"id": "t1"})
    in_progress = problem(409, "in_progress", retry_after=0)
    client, server = lost(lambda *_: None, in_progress, made)

    assert client.submit_task("trace", "do it") == "t1"
    assert client.submit_task("trace", "do it") == "t1"

    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert len({request.body for request in server.requests}) == 1


def test_a_key_of_the_callers_own_is_sent(lost):
    client, server = lost(answer(201, {"id": "t1"}))

    client.create_trace("w", "a", idempotency_key="order-7")

    assert server.requests[0].headers["idempotency-key"] == "order-7"


def test_retrying_many_is_sent_only_once(lost):
    client, server = lost(lambda *_: None)

    with pytest.raises(errors.Unreachable):
        client.cancel_or_retry_many("retry", {"status": "failed"})

    assert len(server.requests) == 1


def test_a_server_that_does_not_answer_is_given_up_after_the_timeout(lost):
    client, server = lost(hang, timeout=0.2, retries=1)

    with pytest.raises(errors.Unreachable, match=r"did not answer within 0\.2 s"):
        client.whoami()

    assert len(server.requests) == 2


def test_nobody_listens():
    with (
        GatewayClient(f"http://127.0.0.1:{free_port()}", "gk_x", retries=0) as client,
        pytest.raises(errors.Unreachable, match="cannot be reached") as caught,
    ):
        client.whoami()
    assert "GATEWAY_URL" in caught.value.hint


def test_a_redirect_is_not_followed_with_the_key(lost):
    client, server = lost(answer(301, b"", Location="https://elsewhere.example/api/v1/whoami"))

    with pytest.raises(errors.Unreachable, match=r"redirects to https://elsewhere\.example"):
        client.whoami()

    assert len(server.requests) == 1


def test_a_server_that_is_no_gateway_is_told(lost):
    client, _ = lost(answer(200, b"<html>welcome</html>", "text/html"), retries=0)

    with pytest.raises(errors.Unreachable, match="not JSON"):
        client.whoami()


def test_a_refusal_keeps_everything_that_the_server_says(lost):
    client, _ = lost(
        problem(
            409,
            "busy",
            detail="The trace is busy.",
            hint="Wait.",
            request_id="r-1",
            errors=[{"field": "trace_id", "message": "is busy"}],
            active_task_id="t9",
        )
    )

    with pytest.raises(errors.Busy) as caught:
        client.submit_task("trace", "do it", on_busy="reject")

    error = caught.value
    assert (error.status, error.code, error.hint, error.request_id) == (409, "busy", "Wait.", "r-1")
    assert error.errors == [{"field": "trace_id", "message": "is busy"}]
    assert error.data == {"active_task_id": "t9"}
    assert str(error) == "The trace is busy. Wait."


def test_every_code_of_the_server_has_its_class():
    def all_below(kind):
        return {kind, *(one for child in kind.__subclasses__() for one in all_below(child))}

    of_agents = all_below(errors.AgentError)
    told = {kind for kind in all_below(errors.GatewayError) - of_agents if kind.__module__ == errors.__name__}
    codes = {kind.code for kind in told} - {"error"}

    assert codes <= set(BY_CODE)
    assert all(BY_CODE[code].code == code for code in BY_CODE)


def test_a_code_that_this_version_does_not_know_is_classed_by_its_status():
    error = error_of(409, {"code": "brand_new", "detail": "New."})

    assert type(error) is errors.Conflict
    assert (error.code, error.status) == ("brand_new", 409)


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_an_id_that_would_lead_elsewhere_is_refused_before_it_is_sent(lost, id):
    client, server = lost(answer(200, {}))

    with pytest.raises(errors.InvalidInput):
        client.get_task(id)

    assert server.requests == []


def test_an_odd_id_is_one_part_of_the_address(lost):
    client, server = lost(answer(200, {}))

    client.get_workspace("a/../b?c#d é")

    assert server.requests[0].target == "/api/v1/workspaces/a%2F..%2Fb%3Fc%23d%20%C3%A9"


def test_a_netrc_and_cookies_do_not_get_in_the_way_of_the_key(lost, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client, server = lost(answer(200, WHO, Set_Cookie="session=1"))

    client.whoami()
    client.whoami()

    assert [request.headers["authorization"] for request in server.requests] == ["Bearer gk_test_key"] * 2
    assert "cookie" not in server.requests[1].headers


def test_no_proxy_stands_between_this_machine_and_itself(lost, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    client, _ = lost(answer(200, WHO))

    assert client.whoami() == WHO


def test_threads_share_a_client(lost):
    client, server = lost(answer(200, WHO))
    found = []
    threads = [threading.Thread(target=lambda: found.append(client.whoami())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [WHO] * 20
    assert len(server.requests) == 20


def test_a_forked_process_talks_on_connections_of_its_own(client):
    client.whoami()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, json.dumps(client.whoami()["name"]).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with os.fdopen(reading) as said:
        assert json.loads(said.read()) == client.whoami()["name"]


def test_a_closed_client_opens_new_connections_when_it_is_used_again(client):
    client.whoami()
    client.close()

    assert client.whoami()["kind"] == "key"
