"""The error that a violated invariant is, and the decorator that makes a function an invariant."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec

from harmony_py.errors import HarmonyError
from harmony_py.testing.implementation import Implementation, NotSupportedError, RefusedError
from harmony_py.testing.show import show

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")


class InvariantViolated(HarmonyError, AssertionError):  # noqa: N818  # an assertion, as test runners know it
    """An implementation does what it must not: which invariant, how, and the example that shows it."""

    def __init__(self, invariant: str, fault: str, detail: str, example: tuple[Any, ...]) -> None:
        super().__init__(invariant, fault, detail, example)
        self.invariant = invariant
        self.fault = fault
        """What is wrong in a few words, the same ones for every example of it."""
        self.detail = detail
        """What is wrong with this example."""
        self.example = example
        """What was given besides the implementation."""

    def __str__(self) -> str:
        shown = "\n".join(f"  {line}" for example in self.example for line in show(example).splitlines())
        return f"{self.invariant}: {self.fault}: {self.detail}\ncounterexample:\n{shown}"


class _WrongError(Exception):
    """Raised inside an invariant; becomes an `InvariantViolated`, which knows the example."""

    def __init__(self, fault: str, detail: str) -> None:
        super().__init__(fault, detail)
        self.fault = fault
        self.detail = detail


def wrong(fault: str, detail: str) -> NoReturn:
    """Ends an invariant: `fault` in a few words that do not depend on the example, `detail` that does."""
    raise _WrongError(fault, detail)


def invariant(
    check: Callable[Concatenate[Implementation, _P], None],
) -> Callable[Concatenate[Implementation, _P], None]:
    """Makes whatever goes wrong inside an `InvariantViolated`.

    A refusal where none is due is one, and so is a crash, a panic that is no `Exception` included.
    """
    name = check.__name__.replace("_", " ")

    @functools.wraps(check)
    def checked(implementation: Implementation, /, *example: _P.args, **options: _P.kwargs) -> None:
        try:
            check(implementation, *example, **options)
        except (NotSupportedError, KeyboardInterrupt, SystemExit):
            raise
        except _WrongError as problem:
            raise InvariantViolated(name, problem.fault, problem.detail, example) from None
        except RefusedError as refusal:
            raise InvariantViolated(name, "refused", str(refusal), example) from refusal
        except BaseException as crash:
            kind = type(crash).__name__
            raise InvariantViolated(name, f"crashed: {kind}", str(crash), example) from crash

    return checked
