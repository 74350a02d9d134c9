"""Eight bytes at a time, for compiled loops: what numba has no words for."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # it has none
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np import arrayobj

N = Any  # a number or an array as compiled code has it, with numba's types and not Python's

Function = Callable[..., N]

_EIGHT, _FOUR, _BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)


def _place(context: N, builder: N, signature: N, args: N, kind: N) -> N:
    """A pointer to the item of an array at a place, for any kind of number."""
    make_array: Function = arrayobj.make_array
    array = make_array(signature.args[0])(context, builder, args[0])
    return builder.bitcast(builder.gep(array.data, [args[1]]), kind.as_pointer())


def _load(typing: N, array: N, at: N) -> N:  # noqa: ARG001  as numba asks for them
    def generate(context: N, builder: N, signature: N, args: N) -> N:
        return builder.load(_place(context, builder, signature, args, _EIGHT), align=1)

    return types.uint64(array, types.int64), generate


def _store(typing: N, array: N, at: N, value: N) -> N:  # noqa: ARG001
    def generate(context: N, builder: N, signature: N, args: N) -> N:
        builder.store(args[2], _place(context, builder, signature, args, _EIGHT), align=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), generate


def _lowest(typing: N, mask: N) -> N:  # noqa: ARG001
    def generate(context: N, builder: N, signature: N, args: N) -> N:  # noqa: ARG001
        return builder.lshr(builder.cttz(args[0], ir.IntType(1)(1)), _EIGHT(3))

    return types.int64(types.uint64), generate


def _prefetch(typing: N, array: N, at: N) -> N:  # noqa: ARG001
    def generate(context: N, builder: N, signature: N, args: N) -> N:
        place = _place(context, builder, signature, args, _BYTE)
        kind = ir.FunctionType(ir.VoidType(), [place.type, _FOUR, _FOUR, _FOUR])
        named: Function = cgutils.get_or_insert_function
        call = named(builder.module, kind, "llvm.prefetch.p0")
        builder.call(call, [place, _FOUR(0), _FOUR(3), _FOUR(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


load: Function = intrinsic(_load)
"""load(array, at): the eight bytes from *at* on as uint64, the first lowest."""

store: Function = intrinsic(_store)
"""store(array, at, word): put eight bytes from *at* on."""

lowest: Function = intrinsic(_lowest)
"""lowest(mask): which of eight bytes is the first with a bit in *mask*, which is not 0."""

prefetch: Function = intrinsic(_prefetch)
"""prefetch(array, at): ask for the item *at*, through all rows, so that it is near when used."""
