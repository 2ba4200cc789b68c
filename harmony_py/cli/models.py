"""Which model a command talks with: the toy, a checkpoint, or a server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from harmony_py.cli.inputs import at_least
from harmony_py.errors import HarmonyError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from harmony_py.engines import Engine
    from harmony_py.engines.chat import Completed
    from harmony_py.engines.torch import TorchEngine
    from harmony_py.model import Model

TOY: Final = "toy"
CPU: Final = "cpu"
STORED: Final = "stored"


class Opened(NamedTuple):
    """A model that is ready."""

    engine: Engine
    sampling: Any
    figures: Callable[[Completed], str]
    """What a completion took, in words."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that `open_model` understands."""
    from harmony_py.engines.http.dialects import DIALECTS

    parser.add_argument(
        "--model", default=TOY, metavar="PATH", help=f"a checkpoint's folder, {TOY} (default), or its name"
    )
    parser.add_argument(
        "--url", help="a server that completes raw prompts; --model is what it calls its model"
    )
    parser.add_argument(
        "--key-from", metavar="VARIABLE", help="the environment variable that holds the server's API key"
    )
    parser.add_argument("--dialect", choices=DIALECTS, default="completions", help="what the server speaks")
    parser.add_argument("--context", type=at_least(1), metavar="N", help="the most tokens of a conversation")
    add_device_argument(parser)
    add_dense_argument(parser)
    parser.add_argument(
        "--temperature", type=float, help="0 takes the likeliest token (default: 0 for the toy)"
    )
    parser.add_argument("--seed", type=int, help="the same seed draws the same answer")
    parser.add_argument("--max-tokens", type=at_least(1), metavar="N", help="the most for one completion")


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default=CPU, help=f"where a checkpoint runs, by torch's name ({CPU})")


def add_dense_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dense",
        choices=(STORED, "int8"),
        default=STORED,
        help="how a checkpoint's matrices in bfloat16 are held: int8 is faster and less exact (CPU only)",
    )


def open_model(options: argparse.Namespace) -> Opened:
    """The model that `options` name, ready to be asked."""
    wanted = {"temperature": options.temperature, "seed": options.seed, "max_tokens": options.max_tokens}
    sampling = {name: value for name, value in wanted.items() if value is not None}
    if options.url:
        from harmony_py.engines.http import HttpEngine

        if options.context is not None or options.device != CPU or options.dense != STORED:
            raise HarmonyError("--context, --device and --dense are a checkpoint's; a server has its own")
        name = None if options.model == TOY else options.model
        headers = {"Authorization": f"Bearer {_key(options.key_from)}"} if options.key_from else None
        engine = HttpEngine(options.url, dialect=options.dialect, model=name, headers=headers)
        return Opened(
            engine, sampling, lambda event: f"{event.prompt} tokens of prompt, {event.sampled} sampled"
        )
    return open_checkpoint(options.model, sampling, options.device, options.context, options.dense)


def _key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise HarmonyError(
            f"--key-from: expected an environment variable that holds a key, found {variable!r}"
        )
    return key


def open_checkpoint(
    name: str,
    sampling: dict[str, Any],
    device: str = CPU,
    context: int | None = None,
    dense: str = STORED,
) -> Opened:
    """The bundled loop with the checkpoint in the folder `name`, or with the toy."""
    from harmony_py.engines.torch import TorchEngine
    from harmony_py.model import Sampling
    from harmony_py.model.progress import bar

    if name == TOY:
        sampling = {"temperature": 0, **sampling}
    try:
        chosen = Sampling(**sampling)
    except HarmonyError as problem:
        raise HarmonyError(f"--{str(problem).replace('_', '-', 1)}") from None
    engine = TorchEngine(load(name, device, context, dense), progress=bar)
    return Opened(engine, chosen, lambda event: _figures(engine, event))


def load(name: str, device: str = CPU, context: int | None = None, dense: str = STORED) -> Model:
    """The checkpoint in the folder `name`, or the toy, on `device`."""
    from harmony_py import model
    from harmony_py.model.progress import quantising

    path = model.toy() if name == TOY else name
    try:
        return model.load(path, device=device, max_context=context, dense=dense, progress=quantising)
    except HarmonyError:
        raise
    except (RuntimeError, AssertionError) as problem:  # so torch says that a device is not there
        raise HarmonyError(f"--device {device}: {str(problem).splitlines()[0]}") from None


def _figures(engine: TorchEngine, event: Completed) -> str:
    statistics = engine.statistics
    rate = statistics.decode_rate if statistics else None
    reused = f"{statistics.reused_tokens} of them reused" if statistics else "none of them reused"
    speed = f", {rate:.0f} a second" if rate else ""
    return f"{event.prompt} tokens of prompt, {reused}; {event.sampled} sampled{speed}"
