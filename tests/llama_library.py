"""llama.cpp itself, as far as the tests need it: the C interface of the library that `xllamacpp` carries.

`Llama` has the methods and arguments of llama-cpp-python's class that `harmony_py.engines.llama_cpp` uses,
so that the real thing runs behind it; that package itself has to be compiled.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harmony_py.engines.llama_cpp.gguf import to_gguf, vocabulary_to_gguf
from harmony_py.model import toy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class _ModelParams(ctypes.Structure):
    """Passed on as the library made it, but for `vocab_only`."""

    _fields_ = [
        ("pointers", ctypes.c_void_p * 2),
        ("numbers", ctypes.c_int32 * 6),
        ("more_pointers", ctypes.c_void_p * 4),
        ("vocab_only", ctypes.c_bool),
        ("rest", ctypes.c_char * 63),
    ]


class _ContextParams(ctypes.Structure):
    _fields_ = [
        ("n_ctx", ctypes.c_uint32),
        ("n_batch", ctypes.c_uint32),
        ("n_ubatch", ctypes.c_uint32),
        ("between", ctypes.c_uint32 * 4),
        ("n_threads", ctypes.c_int32),
        ("n_threads_batch", ctypes.c_int32),
        ("rest", ctypes.c_char * 348),
    ]


class _Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("pointers", ctypes.c_void_p * 6)]


class _TokenData(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int32), ("logit", ctypes.c_float), ("p", ctypes.c_float)]


class _Candidates(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("selected", ctypes.c_int64),
        ("sorted", ctypes.c_bool),
    ]


_PIECES = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_silent = _LOG(lambda level, text, data: None)

_P, _I = ctypes.c_void_p, ctypes.c_int32
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "backend_init": (None, []),
    "log_set": (None, [_LOG, _P]),
    "model_default_params": (_ModelParams, []),
    "model_load_from_file": (_P, [ctypes.c_char_p, _ModelParams]),
    "model_free": (None, [_P]),
    "model_get_vocab": (_P, [_P]),
    "vocab_n_tokens": (_I, [_P]),
    "vocab_is_eog": (ctypes.c_bool, [_P, _I]),
    "token_to_piece": (_I, [_P, _I, ctypes.c_char_p, _I, _I, ctypes.c_bool]),
    "tokenize": (_I, [_P, ctypes.c_char_p, _I, ctypes.POINTER(_I), _I, ctypes.c_bool, ctypes.c_bool]),
    "context_default_params": (_ContextParams, []),
    "init_from_model": (_P, [_P, _ContextParams]),
    "free": (None, [_P]),
    "batch_get_one": (_Batch, [ctypes.POINTER(_I), _I]),
    "decode": (_I, [_P, _Batch]),
    "get_logits_ith": (ctypes.POINTER(ctypes.c_float), [_P, _I]),
    "get_memory": (_P, [_P]),
    "memory_clear": (None, [_P, ctypes.c_bool]),
    "sampler_init_grammar": (_P, [_P, ctypes.c_char_p, ctypes.c_char_p]),
    "sampler_apply": (None, [_P, ctypes.POINTER(_Candidates)]),
    "sampler_accept": (None, [_P, _I]),
    "sampler_clone": (_P, [_P]),
    "sampler_free": (None, [_P]),
}


@functools.cache
def _library() -> Any:
    found = importlib.util.find_spec("xllamacpp")
    assert found is not None, "the tests need xllamacpp, which carries llama.cpp"
    assert found.origin is not None
    [path] = Path(found.origin).parent.glob("xllamacpp*.so")
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, f"llama_{name}")
        function.restype, function.argtypes = result, arguments
    library.llama_backend_init()
    library.llama_log_set(_silent, None)
    return library


@functools.cache
def toy_llama() -> Llama:
    """The toy checkpoint in llama.cpp."""
    with tempfile.TemporaryDirectory() as folder:
        to_gguf(toy(), f"{folder}/toy.gguf")
        return Llama(f"{folder}/toy.gguf")  # mapped: the file may go


@functools.cache
def vocabulary() -> Llama:
    """Our vocabulary in llama.cpp, without a model."""
    with tempfile.TemporaryDirectory() as folder:
        vocabulary_to_gguf(f"{folder}/vocabulary.gguf")
        return Llama(f"{folder}/vocabulary.gguf", vocab_only=True)


class Grammar:
    """A grammar in llama.cpp's own hands, at some point of a text."""

    def __init__(self, llama: Llama, sampler: int) -> None:
        self._llama, self._sampler = llama, sampler

    def __del__(self) -> None:
        _library().llama_sampler_free(self._sampler)

    def restrict(self, pieces: np.ndarray[Any, Any]) -> None:
        """Take the chance from every candidate that may not come."""
        array = _Candidates(pieces.ctypes.data, len(pieces), -1, False)
        _library().llama_sampler_apply(self._sampler, ctypes.byref(array))

    def allowed(self, ids: Sequence[int]) -> list[int]:
        """Those of `ids` that may come next."""
        pieces = np.zeros(len(ids), _PIECES)
        pieces["id"] = ids
        self.restrict(pieces)
        return [int(token) for token in pieces["id"][np.isfinite(pieces["logit"])]]

    def accept(self, token: int) -> None:
        """Only for what is allowed: anything else ends the process."""
        assert self.allowed([token]) == [token]
        _library().llama_sampler_accept(self._sampler, token)

    def copy(self) -> Grammar:
        return Grammar(self._llama, _library().llama_sampler_clone(self._sampler))


class Llama:
    """A model; with `vocab_only` no more than its vocabulary."""

    def __init__(self, path: str | Path, *, n_ctx: int = 2048, vocab_only: bool = False) -> None:
        library = _library()
        params = library.llama_model_default_params()
        params.vocab_only = vocab_only
        self._model = library.llama_model_load_from_file(str(path).encode(), params)
        assert self._model, f"llama.cpp does not load {path}"
        self._vocab = library.llama_model_get_vocab(self._model)
        self._context = None if vocab_only else self._new_context(n_ctx)
        self.evaluated: list[int] = []
        self._seed = 0

    def _new_context(self, n_ctx: int) -> int:
        library = _library()
        params = library.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = n_ctx, n_ctx, n_ctx
        params.n_threads = params.n_threads_batch = 1
        context: int = library.llama_init_from_model(self._model, params)
        assert context
        return context

    def n_vocab(self) -> int:
        return int(_library().llama_vocab_n_tokens(self._vocab))

    def n_ctx(self) -> int:
        return 2048

    def set_seed(self, seed: int) -> None:
        self._seed = seed

    def detokenize(self, tokens: list[int], *, special: bool = False) -> bytes:
        return b"".join(self._piece(token, special) for token in tokens)

    def _piece(self, token: int, special: bool) -> bytes:
        buffer = ctypes.create_string_buffer(256)
        size = _library().llama_token_to_piece(self._vocab, token, buffer, 256, 0, special)
        assert size >= 0
        return buffer.raw[:size]

    def tokenize(self, text: bytes, *, add_bos: bool = False, special: bool = False) -> list[int]:
        ids = (_I * (len(text) + 8))()
        library = _library()
        count = library.llama_tokenize(self._vocab, text, len(text), ids, len(ids), add_bos, special)
        return list(ids[:count])

    def is_eog(self, token: int) -> bool:
        """Whether the vocabulary has `token` end the model's part."""
        return bool(_library().llama_vocab_is_eog(self._vocab, token))

    def grammar(self, text: str) -> Grammar:
        sampler = _library().llama_sampler_init_grammar(self._vocab, text.encode(), b"root")
        if not sampler:
            raise ValueError(f"llama.cpp does not take the grammar:\n{text}")
        return Grammar(self, sampler)

    def logits(self, tokens: Sequence[int]) -> np.ndarray[Any, Any]:
        """Behind `tokens`, of which only what is new is read."""
        library = _library()
        known = self.evaluated
        if list(tokens[: len(known)]) != known or len(tokens) == len(known):
            library.llama_memory_clear(library.llama_get_memory(self._context), True)
            known.clear()
        new = list(tokens[len(known) :])
        array = (_I * len(new))(*new)  # the batch only points to it
        failed = library.llama_decode(self._context, library.llama_batch_get_one(array, len(new)))
        assert not failed
        known += new
        logits = library.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(logits, (self.n_vocab(),)).copy()

    def generate(
        self,
        tokens: Sequence[int],
        *,
        top_k: int,
        top_p: float,
        min_p: float,
        temp: float,
        repeat_penalty: float,
        logits_processor: Sequence[Callable[[Any, Any], Any]] = (),
        grammar: Grammar | None = None,
    ) -> Iterator[int]:
        """As llama-cpp-python does it, from the processor to the draw; without filters."""
        assert (top_k, top_p, min_p, repeat_penalty) == (0, 1.0, 0.0, 1.0)
        known = list(tokens)
        chance = np.random.default_rng(self._seed)
        while True:
            logits = self.logits(known)
            for processor in logits_processor:
                logits = processor(np.array(known, np.intc), logits)
            if grammar is not None:
                pieces = np.zeros(len(logits), _PIECES)
                pieces["id"], pieces["logit"] = np.arange(len(logits)), logits
                grammar.restrict(pieces)
                logits = pieces["logit"]
            token = int(logits.argmax())
            if temp > 0:
                noise = chance.gumbel(size=len(logits))
                token = int((logits / temp + noise).argmax())
            if grammar is not None and not self.is_eog(token):
                grammar.accept(token)
            yield token
            known.append(token)
