"""The server as anybody may talk to it: limits, keys, origins, and requests that are none. Never a 500."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmony_py.engines import Drawn
from harmony_py.testing import strategies as streams
from tests.serving import ANSWER, Says, serving, until
from tests.wire_json import anything, chat_requests, response_requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harmony_py.chat import SystemContent

CHAT, RESPONSES, COMPLETIONS = "/v1/chat/completions", "/v1/responses", "/v1/completions"
ASKED: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}


class Babbles:
    """An engine that draws whatever it was told last."""

    tokens: Sequence[int] = ()

    def generate(self, ids: Any, sampling: Any = None, *, mask: Any = None) -> Iterator[Drawn]:
        yield from map(Drawn, self.tokens)


BABBLE = Babbles()


@pytest.fixture(scope="module")
def web() -> Iterator[httpx2.Client]:
    with serving(BABBLE) as server, httpx2.Client(base_url=server.url, timeout=60) as found:
        yield found


def told(answer: httpx2.Response) -> dict[str, Any]:
    """The error that an answer is, in the API's own shape."""
    found = answer.json()
    assert set(found) == {"error"}
    assert set(found["error"]) == {"message", "type", "param", "code"}
    assert isinstance(found["error"]["message"], str)
    return dict(found["error"])


# -- whatever is sent --------------------------------------------------------------------------------------


def posted(bodies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Bodies that mostly name the model there is, and so get on to everything else."""
    models = st.sampled_from(["m", "m", "m", "other"])
    return st.builds(lambda b, m: {**b, "model": m} if isinstance(b, dict) else b, bodies, models)


def spelled(body: Any) -> bytes:
    """The body as bytes, what is no JSON in it spelled the way Python does: `Infinity`, half a surrogate."""
    return json.dumps(body, default=repr, skipkeys=True).encode()


def check_answer(answer: httpx2.Response) -> None:
    if answer.status_code != 200:
        assert 400 <= answer.status_code < 500, answer.text
        told(answer)
    elif answer.headers["content-type"].startswith("text/event-stream"):
        assert all(line.startswith(("data: ", "event: ")) for line in answer.text.split("\n") if line)
        events = [line.removeprefix("data: ") for line in answer.text.split("\n") if line.startswith("data")]
        assert all(event == "[DONE]" or json.loads(event) for event in events)
        assert events[-1] == "[DONE]" or json.loads(events[-1])["type"].startswith("response.")
    else:
        assert answer.json()["object"] in ("chat.completion", "text_completion", "response")


@given(posted(st.one_of(chat_requests, anything)), streams.any_stream)
def test_no_chat_request_breaks_it(web: httpx2.Client, body: Any, tokens: list[int]) -> None:
    BABBLE.tokens = tokens
    check_answer(web.post(CHAT, content=spelled(body)))


@given(posted(st.one_of(response_requests, anything)), streams.any_stream)
def test_no_responses_request_breaks_it(web: httpx2.Client, body: Any, tokens: list[int]) -> None:
    BABBLE.tokens = tokens
    check_answer(web.post(RESPONSES, content=spelled(body)))


completions = st.fixed_dictionaries(
    {"model": st.just("m"), "prompt": st.text() | st.lists(st.integers(-1, 201_100)) | anything},
    optional={
        "max_tokens": st.integers(-1, 50) | anything,
        "temperature": st.floats(-1, 3) | anything,
        "top_k": st.integers(-1, 9) | anything,
        "seed": st.integers() | anything,
        "stop_token_ids": st.lists(st.integers(-1, 201_100)) | anything,
        "logit_bias": st.dictionaries(st.text("0123456789x", max_size=9), st.floats(-200, 200)) | anything,
        "skip_special_tokens": st.booleans() | anything,
        "stream": st.booleans() | anything,
    },
)


@given(posted(st.one_of(completions, anything)), streams.any_stream)
def test_no_completions_request_breaks_it(web: httpx2.Client, body: Any, tokens: list[int]) -> None:
    BABBLE.tokens = tokens
    check_answer(web.post(COMPLETIONS, content=spelled(body)))


@settings(max_examples=30)
@given(st.binary(max_size=200), st.sampled_from([CHAT, RESPONSES, COMPLETIONS]))
def test_no_bytes_break_it(web: httpx2.Client, body: bytes, path: str) -> None:
    answer = web.post(path, content=body)
    assert answer.status_code == 400
    told(answer)


@settings(max_examples=30)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]),
    st.lists(st.sampled_from(["v1", "responses", "models", "cancel", "..", "%2e%2e", "a%00", "ü", ""])),
)
def test_no_path_breaks_it(web: httpx2.Client, method: str, parts: list[str]) -> None:
    answer = web.request(method, "/" + "/".join(parts))
    assert answer.status_code in (200, 307, 400, 404, 405)
    if method != "HEAD" and answer.status_code not in (200, 307):
        told(answer)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "parse"),
        (b"{", "parse"),
        (b"[" * 100_000, "parse"),
        (b'{"model": "m", "messages": 1e999}', "messages"),
        (b'{"model": "m", "messages": NaN}', ""),
        (b'{"model": "\\ud800"}', "surrogate"),
        (b"9" * 5000, "parse"),
        ("{'model': 'm'}".encode("utf-16"), "parse"),
    ],
)
def test_what_is_no_json(web: httpx2.Client, body: bytes, words: str) -> None:
    for path in (CHAT, RESPONSES):
        answer = web.post(path, content=body)
        assert answer.status_code == 400
        error = told(answer)
        assert error["type"] == "invalid_request_error"
        assert words in error["message"]


def test_other_paths_and_methods(web: httpx2.Client) -> None:
    for method, path, status, code in (
        ("GET", "/", 404, "unknown_url"),
        ("POST", "/v1/nothing", 404, "unknown_url"),
        ("GET", CHAT, 405, "method_not_supported"),
        ("PUT", "/v1/models", 405, "method_not_supported"),
        ("GET", "/v1/responses/resp_1", 404, "not_found"),
        ("DELETE", "/v1/responses/resp_1", 404, "not_found"),
        ("POST", "/v1/responses/resp_1/cancel", 404, "not_found"),
    ):
        answer = web.request(method, path)
        assert (answer.status_code, told(answer)["code"]) == (status, code)


def test_health_and_metrics(web: httpx2.Client) -> None:
    assert web.get("/health").json() == {"status": "ok"}
    answer = web.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "\n# TYPE harmony_py_time_to_first_token_seconds histogram\n" in answer.text


# -- what is asked and cannot be had -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"logprobs": True}, "logprobs"),
        ({"n": 9}, "n"),
        ({"stop": ""}, "stop"),
        ({"stop": ["x" * 300]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        (
            {
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "tool_choice": "required",
            },
            "tools",
        ),
    ],
)
def test_what_the_engine_cannot_do_is_refused(extra: dict[str, Any], param: str) -> None:
    with serving(Says(ANSWER), masks=False) as server:
        answer = httpx2.post(server.url + CHAT, json={**ASKED, **extra})
    assert answer.status_code == 400
    assert told(answer)["param"] == param


# -- limits ------------------------------------------------------------------------------------------------


def test_a_body_that_is_too_long_is_not_read_to_its_end() -> None:
    with serving(Says(ANSWER), body_bytes=1000) as server:
        answer = httpx2.post(server.url + CHAT, json={**ASKED, "user": "x" * 2000})
        assert (answer.status_code, told(answer)["code"]) == (413, "request_too_large")

        def endless() -> Iterator[bytes]:
            for _ in range(1000):
                yield b" " * 100

        answer = httpx2.post(server.url + CHAT, content=endless())
        assert (answer.status_code, told(answer)["code"]) == (413, "request_too_large")
        assert httpx2.post(server.url + CHAT, json=ASKED).status_code == 200


def test_a_prompt_that_is_too_long_is_refused_and_an_answer_cut() -> None:
    engine = Says(ANSWER)
    with serving(engine, prompt_tokens=200, output_tokens=6) as server:
        long = {**ASKED, "messages": [{"role": "user", "content": "x y " * 200}]}
        answer = httpx2.post(server.url + CHAT, json=long)
        assert (answer.status_code, told(answer)["code"]) == (400, "context_length_exceeded")
        answer = httpx2.post(server.url + CHAT, json={**ASKED, "max_tokens": 5000})
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    assert answer.json()["usage"]["completion_tokens"] == 6
    assert len(engine.prompts) == 1


def test_who_comes_when_too_many_wait_is_told_so() -> None:
    gate = threading.Event()
    with serving(Says(ANSWER, gate), slots=1, waiting=2) as server, httpx2.Client(timeout=30) as web:
        answers: list[int] = []

        def ask() -> None:
            answers.append(web.post(server.url + CHAT, json=ASKED).status_code)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for number, thread in enumerate(threads):
            thread.start()
            until(server.url, running=1, waiting=number)
        answer = web.post(server.url + CHAT, json=ASKED)
        assert (answer.status_code, told(answer)["code"]) == (429, "rate_limit_exceeded")
        assert answer.headers["retry-after"] == "1"
        gate.set()
        for thread in threads:
            thread.join(20)
    assert answers == [200] * 3


def test_the_time_for_a_request_is_limited() -> None:
    gate = threading.Event()
    engine = Says(ANSWER, gate)
    with serving(engine, seconds=0.2) as server:
        answer = httpx2.post(server.url + CHAT, json=ASKED)
        assert (answer.status_code, told(answer)["code"]) == (503, "timeout")
        gate.set()
        assert engine.ended.acquire(timeout=20)


def test_what_was_said_until_the_time_was_up_is_the_answer() -> None:
    endless = "<|channel|>final<|message|>" + "and so on " * 100_000
    with serving(Says(endless), seconds=0.3) as server:
        answer = httpx2.post(server.url + CHAT, json=ASKED, timeout=60).json()
    [choice] = answer["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"].startswith("and so on and so on")


# -- who may ask -------------------------------------------------------------------------------------------


def test_keys() -> None:
    with serving(Says(ANSWER), api_keys=("geheim", "schlüssel")) as server:
        for given_, status in (
            (None, 401),
            ("Bearer", 401),
            ("Bearer wrong", 401),
            ("Basic geheim", 401),
            ("Bearer geheim", 200),
            ("bearer geheim", 200),
            ("Bearer schlüssel".encode(), 200),
        ):
            headers: Any = {} if given_ is None else {"authorization": given_}
            answer = httpx2.post(server.url + CHAT, json=ASKED, headers=headers)
            assert answer.status_code == status, given_
            if status == 401:
                assert told(answer)["code"] == "invalid_api_key"
                assert "geheim" not in answer.text
        assert httpx2.get(server.url + "/metrics").status_code == 401
        assert httpx2.get(server.url + "/nothing").status_code == 401
        assert httpx2.get(server.url + "/health").status_code == 200


def test_pages_of_other_origins_may_not_ask() -> None:
    page = {"origin": "http://page.example"}
    with serving(Says(ANSWER)) as server:
        answer = httpx2.post(server.url + CHAT, json=ASKED, headers=page)
        assert (answer.status_code, told(answer)["code"]) == (403, "origin_not_allowed")
    with serving(Says(ANSWER), origins=("http://page.example",), api_keys=("key",)) as server:
        preflight = {**page, "access-control-request-method": "POST"}
        answer = httpx2.request("OPTIONS", server.url + CHAT, headers=preflight)
        assert answer.headers["access-control-allow-origin"] == "http://page.example"
        answer = httpx2.post(server.url + CHAT, json=ASKED, headers={**page, "authorization": "Bearer key"})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "http://page.example"
        other = {"origin": "http://other.example", "authorization": "Bearer key"}
        assert httpx2.post(server.url + CHAT, json=ASKED, headers=other).status_code == 403


# -- what breaks -------------------------------------------------------------------------------------------


class Breaks:
    """An engine that fails behind some tokens, and says why in words for nobody's ears."""

    def __init__(self, *tokens: int) -> None:
        self._tokens = tokens

    def generate(self, ids: Any, sampling: Any = None, *, mask: Any = None) -> Iterator[Drawn]:
        yield from map(Drawn, self._tokens)
        raise OSError("/secret/path")


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_that_fails_is_a_500_without_its_words(path: str, stream: bool) -> None:
    body = {**ASKED, "stream": stream}
    if path == RESPONSES:
        body = {"model": "m", "input": "Hi.", "stream": stream}
    with serving(Breaks()) as server:
        answer = httpx2.post(server.url + path, json=body)
        assert (answer.status_code, told(answer)["type"]) == (500, "server_error")
        assert "secret" not in answer.text


def test_what_breaks_in_the_server_itself_is_counted() -> None:
    def system() -> SystemContent:
        raise OSError("/secret/path")

    with serving(Says(ANSWER), system=system) as server:
        answer = httpx2.post(server.url + CHAT, json=ASKED)
        assert (answer.status_code, told(answer)["type"]) == (500, "server_error")
        counted = 'harmony_py_requests_total{endpoint="/v1/chat/completions",status="500"} 1'
        assert counted in httpx2.get(server.url + "/metrics").text.splitlines()


def test_an_engine_that_fails_midway_ends_the_stream_with_an_error() -> None:
    tokens = [200005, 17196, 200008, 19]
    with serving(Breaks(*tokens)) as server:
        answer = httpx2.post(server.url + CHAT, json={**ASKED, "stream": True})
        assert answer.status_code == 200
        *_, error, done = answer.text.strip().split("\n\n")
        assert json.loads(error.removeprefix("data: "))["error"]["type"] == "server_error"
        assert done == "data: [DONE]"
        assert "secret" not in answer.text
        answer = httpx2.post(server.url + RESPONSES, json={"model": "m", "input": "Hi.", "stream": True})
        last = json.loads(answer.text.strip().split("\n\n")[-1].partition("data: ")[2])
        assert last["type"] == "response.failed"
        assert last["response"]["output"][0]["content"][0]["text"] == "4"
        assert httpx2.get(f"{server.url}/v1/responses/{last['response']['id']}").json()["status"] == "failed"


def test_a_client_that_hangs_up_in_the_middle_of_its_request() -> None:
    with serving(Says(ANSWER)) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        for sent in (
            b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99\r\n\r\n{",
            b"\x16\x03\x01",
            b"",
        ):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(sent)
        assert httpx2.post(server.url + CHAT, json=ASKED).status_code == 200
        assert 'status="500"' not in httpx2.get(server.url + "/metrics").text


def test_a_request_that_does_not_come_to_its_end() -> None:
    with serving(Says(ANSWER), seconds=0.2) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
            answer = b""
            while b"}}" not in answer and (more := connection.recv(4096)):
                answer += more
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"timeout"' in answer
