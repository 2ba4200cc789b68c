"""Serve OpenAI's APIs on this machine: a checkpoint, by default the toy, or any other engine.

  harmony-py serve
  harmony-py serve gpt-oss-20b/ --name gpt-oss-20b --slots 8
  harmony-py serve --url http://127.0.0.1:8001 --name gpt-oss-120b
  harmony-py serve --engine my_module:my_factory

Then point a client at http://127.0.0.1:8000/v1. Only this machine can reach it unless --host says otherwise.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import argparse

    from harmony_py.serve.runners import Runner
    from harmony_py.serve.settings import Settings

KEY_VARIABLE: Final = "HARMONY_PY_API_KEY"

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from harmony_py.cli.models import add_dense_argument

    parser.add_argument("model", nargs="?", type=Path, help="a checkpoint's directory (default: the toy)")
    parser.add_argument("--url", help="ask another server for tokens instead")
    parser.add_argument("--dialect", default="completions", help="what that server speaks; see docs/hosts.md")
    parser.add_argument("--engine", metavar="MODULE:FACTORY", help="or an engine or runner of your own")
    parser.add_argument("--name", action="append", help="what requests call the model; may be given again")
    parser.add_argument("--slots", type=int, default=16, help="answers drawn at once (default 16)")
    parser.add_argument("--device", default="cpu", help="where the checkpoint is run (default cpu)")
    add_dense_argument(parser)
    parser.add_argument("--context", type=int, help="tokens of a prompt and its answer, at most")
    parser.add_argument("--temperature", type=float, help="where requests do not say (default 1; the toy: 0)")
    parser.add_argument("--json", action="store_true", help="the address, as JSON on standard output")
    net = parser.add_argument_group("who may ask")
    net.add_argument("--host", default="127.0.0.1", help="the address to listen at (default 127.0.0.1)")
    net.add_argument("--port", type=int, default=8000, help="the port (default 8000)")
    net.add_argument("--api-key", action="append", help=f"a key to ask for; better in {KEY_VARIABLE}")
    net.add_argument("--origin", action="append", help="an origin whose pages may ask; * for all")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--body-bytes", type=int, help="of a request")
    limits.add_argument("--prompt-tokens", type=int, help="of a prompt")
    limits.add_argument("--output-tokens", type=int, help="of an answer")
    limits.add_argument("--waiting", type=int, help="answers that may wait for their turn")
    limits.add_argument("--seconds", type=float, help="for a request")
    limits.add_argument("--stored", type=int, help="responses that are remembered")
    limits.add_argument("--database", type=Path, help="remember them in this file, not in memory")


def run(options: argparse.Namespace) -> int:
    try:
        import uvicorn  # noqa: F401
    except ImportError:
        raise ImportError("the server needs its extra: pip install 'harmony-py[serve]'") from None
    from harmony_py.cli import MISUSED
    from harmony_py.serve import server
    from harmony_py.serve.app import application

    given = [name for name in ("model", "url", "engine") if getattr(options, name) is not None]
    if len(given) > 1:
        print(f"harmony-py serve: one of {' and '.join(given)}, not both", file=sys.stderr)
        return MISUSED
    settings = settings_of(options)
    app = application(runners_of(options), settings)
    if options.host not in _LOOPBACK and not settings.api_keys:
        print(f"No --api-key: whoever reaches {options.host} may use this server.", file=sys.stderr)

    def ready(url: str) -> None:
        if options.json:
            print(json.dumps({"url": f"{url}/v1", "models": settings.models}), flush=True)
        else:
            print(f"Serving {', '.join(settings.models)} at {url}/v1", file=sys.stderr, flush=True)

    server.run(app, host=options.host, port=options.port, ready=ready)
    return 0


def settings_of(options: argparse.Namespace) -> Settings:
    from harmony_py.serve.settings import Settings

    is_toy = not (options.model or options.url or options.engine)
    name = "toy" if is_toy else options.model.resolve().name if options.model else "gpt-oss"
    keys = options.api_key or [key for key in [os.environ.get(KEY_VARIABLE)] if key]
    temperature = 0.0 if is_toy and options.temperature is None else options.temperature
    limits = ("body_bytes", "prompt_tokens", "output_tokens", "waiting", "seconds", "stored", "database")
    said: dict[str, Any] = {limit: getattr(options, limit) for limit in limits}
    return Settings(
        models=tuple(options.name or [name]),
        api_keys=tuple(keys),
        origins=tuple(options.origin or ()),
        defaults={} if temperature is None else {"temperature": temperature},
        **{limit: value for limit, value in said.items() if value is not None},
    )


def runners_of(options: argparse.Namespace) -> list[Runner]:
    """The engine that was asked for. One that waits for another server gets a thread for each answer."""
    from harmony_py.cli.models import STORED
    from harmony_py.errors import HarmonyError
    from harmony_py.serve.runners import Interleaved, require_slots

    slots = require_slots(options.slots)
    if options.dense != STORED and (options.url or options.engine):
        raise HarmonyError("--dense is a checkpoint's; another engine has its own weights")
    if options.url:
        from harmony_py.engines.http import HttpEngine

        engine = HttpEngine(options.url, dialect=options.dialect, model=(options.name or [None])[0])
        return [Interleaved(engine, context=options.context, masks=False) for _ in range(slots)]
    if options.engine:
        return [_made(options.engine, options.context)]
    from harmony_py.cli.models import TOY, load
    from harmony_py.serve.batched import Batched

    model = load(str(options.model or TOY), options.device, options.context, options.dense)
    return [Batched(model, slots=slots)]


def _made(spelled: str, context: int | None) -> Runner:
    """What a factory makes: a runner, or an engine that draws one answer at a time."""
    from harmony_py.errors import HarmonyError
    from harmony_py.lazy import named
    from harmony_py.serve.runners import Interleaved

    try:
        made: Any = named(spelled)()
    except (ImportError, AttributeError, TypeError) as problem:
        raise HarmonyError(f"--engine {spelled}: {problem}") from problem
    if not (hasattr(made, "slots") or hasattr(made, "generate")):
        raise HarmonyError(f"--engine {spelled}: expected an engine or a runner, found {made!r}")
    return made if hasattr(made, "slots") else Interleaved(made, context=context)
