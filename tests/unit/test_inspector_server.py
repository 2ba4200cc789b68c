"""The inspector's server: the page and its answers for itself, and nothing for anybody else."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from harmony_py.errors import HarmonyError
from harmony_py.inspector import Inspector, answer, export
from harmony_py.inspector.document import document
from harmony_py.inspector.examples import Example, conversation, conversations
from harmony_py.inspector.server import MOST_BYTES
from harmony_py.inspector.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTION = {"ask": "view", "source": {"kind": "text", "text": "<|channel|>final<|message|>Hi.<|return|>"}}
EXAMPLES = list(conversations())


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    with Inspector(EXAMPLES) as inspector:
        yield inspector


def request(
    inspector: Inspector,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """A raw request with just these headers, and `Host`."""
    connection = http.client.HTTPConnection("127.0.0.1", inspector.port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def path_of(inspector: Inspector, tail: str = "") -> str:
    return urlsplit(inspector.url).path + tail


def asked(inspector: Inspector, body: bytes, **headers: str) -> tuple[int, Any]:
    """A question as the page asks it, but for these headers."""
    own = {"Origin": f"http://127.0.0.1:{inspector.port}", "Content-Type": "application/json"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, _, found = request(inspector, "POST", path_of(inspector, "answer"), body, {**own, **named})
    return status, json.loads(found)


# -- the page and its answers ------------------------------------------------------------------------------


def test_the_page_is_served_with_a_policy_that_lets_nothing_else_in(inspector: Inspector) -> None:
    status, headers, body = request(inspector, "GET", path_of(inspector))
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in headers["Content-Security-Policy"]
    for directive, element in (("script-src", 'script type="module"'), ("style-src", "style")):
        [text] = re.findall(rf"<{element}>(.*?)</{element.split()[0]}>", body.decode(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy


def test_questions_are_answered(inspector: Inspector) -> None:
    assert asked(inspector, json.dumps(QUESTION).encode()) == (200, answer(QUESTION))
    assert asked(inspector, b"null")[1]["error"].startswith("question: ")


def test_many_ask_at_once_and_everybody_gets_the_own_answer(inspector: Inspector) -> None:
    found: dict[int, Any] = {}

    def one(number: int) -> None:
        source = {"kind": "text", "text": f"<|channel|>final<|message|>{number}<|return|>"}
        found[number] = asked(inspector, json.dumps({"ask": "view", "source": source}).encode())[1]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: view["tokens"][3]["text"] for number, view in found.items()} == {
        n: str(n) for n in range(64)
    }


def test_who_says_nothing_holds_nobody_up(inspector: Inspector) -> None:
    with socket.create_connection(("127.0.0.1", inspector.port)):
        assert asked(inspector, json.dumps(QUESTION).encode())[0] == 200


# -- nobody else -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", ["x", "../", "answer", "%2e"])
def test_other_paths_are_not_there(inspector: Inspector, tail: str) -> None:
    assert request(inspector, "GET", path_of(inspector, tail))[0] == 404
    assert request(inspector, "GET", "/")[0] == 404
    assert request(inspector, "POST", f"/{'x' * 32}/answer", b"{}")[0] == 404


def test_the_address_is_another_one_each_time(inspector: Inspector) -> None:
    with Inspector(EXAMPLES) as other:
        assert path_of(other) != path_of(inspector)
        assert len(path_of(other)) > 30


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1.evil.example", ""]
)
def test_no_other_name_leads_here(inspector: Inspector, host: str) -> None:
    """What a page does that points its own name at this machine."""
    status, _, body = request(inspector, "GET", path_of(inspector), headers={"Host": host})
    assert (status, b"<html" in body) == (403, False)
    assert asked(inspector, json.dumps(QUESTION).encode(), Host=host)[0] == 403


def test_localhost_is_this_machine(inspector: Inspector) -> None:
    host = f"localhost:{inspector.port}"
    assert request(inspector, "GET", path_of(inspector), headers={"Host": host})[0] == 200
    assert asked(inspector, b"null", Host=host, Origin=f"http://{host}")[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", ""])
def test_no_other_page_may_ask(inspector: Inspector, origin: str) -> None:
    assert asked(inspector, b"null", Origin=origin)[0] == 403


def test_a_question_without_an_origin_is_refused(inspector: Inspector) -> None:
    status, _, _ = request(
        inspector, "POST", path_of(inspector, "answer"), b"null", {"Content-Type": "application/json"}
    )
    assert status == 403


def test_what_a_form_could_send_is_refused(inspector: Inspector) -> None:
    assert asked(inspector, b"null", Content_Type="text/plain")[0] == 415


def test_it_listens_to_this_machine_alone(inspector: Inspector) -> None:
    assert inspector._server.socket.getsockname()[0] == "127.0.0.1"


# -- what is too much or makes no sense --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"", {"Content_Length": str(MOST_BYTES + 1)}, 413),
        (b"", {"Content_Length": "9" * 5000}, 413),
        (b"", {"Content_Length": "-1"}, 411),
        (b"", {"Content_Length": "x"}, 411),
        (b"", {"Content_Length": "\u0663".encode().decode("latin-1")}, 411),
        (b"", {"Transfer_Encoding": "chunked"}, 411),
    ],
)
def test_bad_bodies_are_refused(
    inspector: Inspector, body: bytes, headers: dict[str, str], status: int
) -> None:
    found, told = asked(inspector, body, **headers)
    assert found == status
    assert told["error"]


def test_other_methods_are_unknown(inspector: Inspector) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        assert request(inspector, method, path_of(inspector))[0] == 501


def test_a_port_that_is_taken_is_named(inspector: Inspector) -> None:
    with pytest.raises(HarmonyError, match=f"port {inspector.port}: "), Inspector(EXAMPLES, inspector.port):
        pass
    with pytest.raises(HarmonyError, match="port 70000: "), Inspector(EXAMPLES, 70000):
        pass


# -- the document ------------------------------------------------------------------------------------------

MARKUP = "</script><script>alert(1)</script><!--<script>"


def test_no_text_can_leave_its_place_in_the_document() -> None:
    example = conversation(MARKUP, [{"role": "user", "content": MARKUP}])
    for html in (document([example], [{"name": MARKUP, "text": MARKUP}]).html, export([example])):
        assert MARKUP not in html
        assert html.count("<script") == html.count("</script") == 2
        [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
        assert json.loads(data)["examples"][0]["name"] == MARKUP


def test_the_document_names_no_other_place() -> None:
    html = export(EXAMPLES[:1])
    assert set(re.findall(r"https?://[^'\"\s]*", html)) == {"http://www.w3.org/2000/svg"}


def test_no_script_takes_text_for_markup() -> None:
    html = document([], []).html
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
        assert word not in html
    assert not re.search(r"<[^>]*\s(on\w+|style)=", html.partition("<script")[0])


def test_an_export_holds_every_answer() -> None:
    [data] = re.findall(r'id="data">(.*?)</script>', export(EXAMPLES[:1]), re.DOTALL)
    found = json.loads(data)
    assert found["live"] is False
    [answers] = found["answers"]
    source = EXAMPLES[0].source.model_dump()
    assert answers["view"] == answer({"ask": "view", "source": source})
    assert answers["allowed"] == answer({"ask": "allowed", "source": source})
    for pattern in answers["view"]["breakable"]:
        about = {"source": source, "pattern": pattern, "seed": 0}
        assert answers[f"view {pattern} 0"] == answer({"ask": "view", **about})
        assert answers[f"allowed {pattern} 0"] == answer({"ask": "allowed", **about})
    [schema] = found["schemas"]
    assert schema["answer"] == answer({"ask": "typescript", "text": schema["text"]})


def test_what_cannot_be_read_is_not_exported() -> None:
    with pytest.raises(HarmonyError, match="message 0: no 'content'"):
        export([Example("Given", "broken", Source(kind="conversation", text='[{"role": "user"}]'))])
