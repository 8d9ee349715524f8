# ruff: noqa: ANN001, ANN201, ANN202, N803  Triton's arguments are pointers and block sizes of its own types.
"""The kernel of `fused`: imported only where it runs, since Triton looks for a compiler and a device."""

import triton
import triton.language as tl

BINOMIAL = tl.constexpr(0)
GAUSSIAN = tl.constexpr(1)


@triton.jit  # type: ignore[untyped-decorator]
def _loss_and_residual(z, y, FAMILY: tl.constexpr):  # type: ignore[no-untyped-def]
    """Of each row, without what the target alone adds to the loss: the formulas of `family`."""
    if FAMILY == BINOMIAL:
        e = tl.exp(-tl.abs(z))
        u = 1.0 + e
        # log(1 + e) to the last digits also where e is below rounding (Higham 2002, section 1.14.1).
        log_u = tl.where(u == 1.0, e, tl.log(u) * e / tl.where(u == 1.0, 1.0, u - 1.0))
        wrong = tl.where(y > 0.5, -z, z)
        mean = tl.where(z >= 0.0, 1.0, e) / u
        loss, residual = tl.maximum(wrong, 0.0) + log_u, mean - y
    elif FAMILY == GAUSSIAN:
        loss, residual = (z - y) * (z - y) / 2.0, z - y
    else:
        mean = tl.exp(z)
        loss, residual = mean - z * y, mean - y
    return loss, residual


@triton.jit  # type: ignore[untyped-decorator]
def fused_pass(  # type: ignore[no-untyped-def]
    x_ptr, y_ptr, share_ptr, offset_ptr, theta_ptr, value_ptr, gradient_ptr,
    n, d, share_stride,
    FAMILY: tl.constexpr, HAS_OFFSET: tl.constexpr, IMPLIES_ONES: tl.constexpr,
    ROWS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Each program adds up every n-th block of rows, in float64, and writes its sums to a place of its own."""
    part = tl.program_id(0)
    column = tl.arange(0, WIDTH)
    is_column = column < d
    theta = tl.load(theta_ptr + column, mask=column < d + IMPLIES_ONES, other=0.0)
    gradient = tl.zeros([WIDTH], tl.float64)
    value = tl.zeros([ROWS], tl.float64)
    for block in range(part, tl.cdiv(n, ROWS), tl.num_programs(0)):
        row = block * ROWS + tl.arange(0, ROWS).to(tl.int64)
        is_row = row < n
        at = row[:, None] * d + column[None, :]
        x = tl.load(x_ptr + at, mask=is_row[:, None] & is_column[None, :], other=0.0).to(tl.float64)
        if IMPLIES_ONES:
            x = tl.where(column[None, :] == d, 1.0, x)
        z = tl.sum(x * theta[None, :], 1)
        if HAS_OFFSET:
            z += tl.load(offset_ptr + row, mask=is_row, other=0.0).to(tl.float64)
        y = tl.load(y_ptr + row, mask=is_row, other=0.0).to(tl.float64)
        share = tl.load(share_ptr + row * share_stride, mask=is_row, other=0.0).to(tl.float64)
        loss, residual = _loss_and_residual(z, y, FAMILY)
        value += tl.where(is_row, share * loss, 0.0)
        gradient += tl.sum(x * tl.where(is_row, share * residual, 0.0)[:, None], 0)
    tl.store(value_ptr + part, tl.sum(value, 0))
    tl.store(gradient_ptr + part * WIDTH + column, gradient)
