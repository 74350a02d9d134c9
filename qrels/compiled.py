"""Loops as machine code. Importing this imports numba, up to half a second."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])  # any signature


def compiled(function: Function) -> Function:
    """*function* as machine code, without the GIL, kept on disk where numba finds a folder."""
    try:
        return cast("Function", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # nowhere to keep it
        return cast("Function", numba.njit(nogil=True)(function))


def inlined(function: Function) -> Function:
    """*function* as a part of those that call it: a call with arrays costs 10 ns, by its counts."""
    return cast("Function", numba.njit(nogil=True, inline="always")(function))
