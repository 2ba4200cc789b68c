"""A server that completes raw prompts as an engine, with a conversation on top.

The server here is a stand-in of twenty lines. `HttpEngine(url)` is all that is needed for vLLM or SGLang; for
llama-server and Ollama name their `dialect`.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harmony_py import load_harmony_encoding
from harmony_py.engines.chat import Chat
from harmony_py.engines.http import HttpEngine

encoding = load_harmony_encoding()


class Server(BaseHTTPRequestHandler):
    """Answers each prompt with how long it is."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = f"<|channel|>final<|message|>You gave me {len(asked['prompt'])} tokens.<|return|>"
        ids = encoding.encode(answer, allowed_special="all")
        choice = {"index": 0, "text": "", "token_ids": ids, "finish_reason": "stop"}
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n".encode())

    def log_message(self, *_: object) -> None:
        """Nothing: only the conversation is shown."""


with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    chat = Chat(HttpEngine(f"http://127.0.0.1:{server.server_port}", model="stand-in"))
    for question in ("Hello?", "And now?"):
        for _event in chat.send(question):
            pass
        print(f"user: {question}\nassistant: {chat.messages[-1].text}")
    server.shutdown()
