"""Four float64 numbers that compiled functions work on at once, in one register of the processor.

`row`, `set_row`, `part` and `set_part` read and write them, +, - and * work on them as on single numbers. Loops over
plain arrays are vectorised by the compiler itself; this is for those that it leaves alone, because what they read and
write lies where an index says. Arrays are contiguous; indices are not looked at.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

instructions: Any = intrinsic  # a function that gives types and code becomes one that numba compiles into its callers
REGISTER = ir.VectorType(ir.DoubleType(), 4)


class FourType(types.Type):
    """The type of four numbers in numba."""

    def __init__(self) -> None:
        super().__init__("Four")


FOUR = FourType()


@register_model(FourType)
class FourModel(models.PrimitiveModel):
    """Four numbers are held in a register."""

    def __init__(self, manager: Any, kind: FourType) -> None:
        super().__init__(manager, kind, REGISTER)


def _let_operator(function: Callable[..., Any], instruction: str) -> None:
    """Let an operator on two fours be this instruction."""

    @infer_global(function)
    class Operator(AbstractTemplate):
        def generic(self, args: tuple[types.Type, ...], _: Any) -> Any:
            return signature(FOUR, FOUR, FOUR) if args == (FOUR, FOUR) else None

    @lower_builtin(function, FOUR, FOUR)
    def lower(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> ir.Value:
        return getattr(builder, instruction)(*args)


_let_operator(operator.add, "fadd")
_let_operator(operator.sub, "fsub")
_let_operator(operator.mul, "fmul")


def _address(context: Any, builder: ir.IRBuilder, kinds: Any, args: Any, stride: int) -> ir.Value:
    """Where the four numbers at an index into an array lie, `stride` numbers apart from those at the next index."""
    data = context.make_array(kinds[0])(context, builder, args[0]).data
    index = context.cast(builder, args[1], kinds[1], types.intp)
    return builder.bitcast(builder.gep(data, [builder.mul(index, index.type(stride))]), REGISTER.as_pointer())


def _checked(array: types.Array, dimensions: int, dtype: types.Type = types.float64) -> types.Array:
    if (array.layout, array.ndim, array.dtype) != ("C", dimensions, dtype):
        raise TypingError(f"It must be a contiguous array of {dtype} with {dimensions} dimensions, not {array}.")
    return array


def _reads(stride: int) -> Callable[..., Any]:
    def code(context: Any, builder: ir.IRBuilder, kind: Any, args: Any) -> ir.Value:
        return builder.load(_address(context, builder, kind.args, args, stride), align=8)

    return code


def _writes(stride: int) -> Callable[..., Any]:
    def code(context: Any, builder: ir.IRBuilder, kind: Any, args: Any) -> ir.Value:
        builder.store(args[2], _address(context, builder, kind.args, args, stride), align=8)
        return context.get_dummy_value()

    return code


@instructions
def index_at(_, array, index):
    """Entry `index` of an array of indices (P,). `index` must not be negative: to look for that takes time."""

    def code(context: Any, builder: ir.IRBuilder, kind: Any, args: Any) -> ir.Value:
        data = context.make_array(array)(context, builder, args[0]).data
        return builder.load(builder.gep(data, [context.cast(builder, args[1], index, types.intp)]))

    return types.uint32(_checked(array, 1, types.uint32), index), code


@instructions
def row(_, array, index):
    """Row `index` of an array (N, 4)."""
    return FOUR(_checked(array, 2), index), _reads(4)


@instructions
def set_row(_, array, index, value):
    """Fill row `index` of an array (N, 4)."""
    return types.void(_checked(array, 2), index, value), _writes(4)


@instructions
def part(_, array, index):
    """The four numbers from `index` on of an array (P,)."""
    return FOUR(_checked(array, 1), index), _reads(1)


@instructions
def set_part(_, array, index, value):
    """Fill the four numbers from `index` on of an array (P,)."""
    return types.void(_checked(array, 1), index, value), _writes(1)


def _chosen(builder: ir.IRBuilder, one: ir.Value, other: ir.Value, *places: int) -> ir.Value:
    """Four of the eight numbers in two registers."""
    return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(ir.IntType(32), 4), list(places)))


def _transposed(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value, d: ir.Value) -> list[ir.Value]:
    """The columns of the matrix with the rows a, b, c and d."""
    even = [_chosen(builder, *rows, 0, 4, 2, 6) for rows in ((a, b), (c, d))]
    odd = [_chosen(builder, *rows, 1, 5, 3, 7) for rows in ((a, b), (c, d))]
    halves = [(pair, places) for places in ((0, 1, 4, 5), (2, 3, 6, 7)) for pair in (even, odd)]
    return [_chosen(builder, *pair, *places) for pair, places in halves]


@instructions
def components(_, a, b, c, d):
    """The first, the second and the third numbers of four rows."""

    def code(context: Any, builder: ir.IRBuilder, kind: Any, args: Any) -> ir.Value:
        return context.make_tuple(builder, kind.return_type, _transposed(builder, *args)[:3])

    return types.UniTuple(FOUR, 3)(a, b, c, d), code


@instructions
def rows_of(_, first, second, third):
    """The four rows that have these first, second and third numbers, and zero as the fourth."""

    def code(context: Any, builder: ir.IRBuilder, kind: Any, args: Any) -> ir.Value:
        rows = _transposed(builder, args[0], args[1], args[2], ir.Constant(REGISTER, [0.0] * 4))
        return context.make_tuple(builder, kind.return_type, rows)

    return types.UniTuple(FOUR, 4)(first, second, third), code
