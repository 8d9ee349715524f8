"""The kernels of `fused`, compiled by numba when this is first imported on a machine, and kept in a cache after.

Features stay in the dtype in which they are stored; all else is float64, but for the products of the Hessian. What is
computed of some rows is computed while their features are in the cache, in loops that compilers turn into vector code.
For a Hessian, rows are turned into columns of a tile first; else they are taken as they lie. Sums may be reordered by
the compiler, always in the same way on the same kind of processor. Nothing assumes finite numbers.

Shapes: n rows, m rows of a block, d features, p = d + 1 where the column of ones is implied and d else.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gradline.training.cpu.compiling import compiled
from gradline.training.cpu.transposing import transpose
from gradline.training.factor import CONTRACTION, LONG_STEP, MAX_DRIFT, ROOT_OF_SINGULAR

BINOMIAL, GAUSSIAN, POISSON = 0, 1, 2
NARROW = 64
"""Features up to which the Hessian comes from the same read."""
TILE_ROWS = 512
TILE_STRIDE = TILE_ROWS + 16
"""Of a power of two, the columns of a tile would compete for the same lines of the cache."""
BLOCK_BYTES = 2**17
WITHOUT_DRIFT, KEEP_PREDICTOR, MEASURE_DRIFT = 0, 1, 2

LN2, LOG2_E = math.log(2), math.log2(math.e)
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""Their sum is log(2), and small integers times the first are exact (Cody and Waite 1980)."""
SHIFT = 1.5 * 2.0**52
"""Added to a number, rounds it to an integer, which then stands in the last bits."""

Array = NDArray[Any]
FOR_DERIVATIVES = (
    "Tuple((f8, f8, f8, f8, f8))"
    "(X[:,::1], X[::1], X[::1], f8[::1], f8, f8[::1], i8, i8, X[::1], f8[::1], f8[::1], f8[::1], f8[:,::1])"
)
FOR_PRODUCTS = "void(X[:,::1], f8[::1], f8[::1], f8[::1], f8[::1])"
FOR_MOMENTS = "void(X[:,::1], f8[::1], f8[::1], f8[::1])"
FOR_MINIMUM = "Tuple((f8, b1))(X[:,::1], X[::1], X[::1], f8[::1], f8, f8[::1], f8, f8[::1], i8, f8, f8, i8)"
FOR_LINEARISATION = "void(X[:,::1], X[::1], f8[::1], f8, f8[::1], f8[::1], f8[::1], i8, f8[::1])"
"""Signatures; X is the dtype of the features."""
FAST = frozenset({"reassoc", "contract", "nsz", "arcp"})
_inner = njit(fastmath=set(FAST), nogil=True, error_model="numpy")
"""For what is compiled as a part of what calls it."""
_in_order = njit(fastmath={"contract"}, nogil=True, error_model="numpy")
"""The same for terms that must be added as they are written."""


@_in_order
def _exp(x_m: Array, out_m: Array, room_m: Array) -> None:
    """out = exp(x): 2^k times the Taylor polynomial of the rest, which is at most log(2) / 2.

    What is below the least normal number is that number; what is above the largest one, infinity.
    """
    bits_m, out_bits_m = room_m.view(np.int64), out_m.view(np.int64)
    for i in range(len(x_m)):
        x = min(max(x_m[i], -708.0), 709.0)
        room_m[i] = x * LOG2_E + SHIFT  # k is in its last digits
        k = room_m[i] - SHIFT
        r = (x - k * LN2_HIGH) - k * LN2_LOW
        s = 1.0 / 479001600.0
        s = s * r + 1.0 / 39916800.0
        s = s * r + 1.0 / 3628800.0
        s = s * r + 1.0 / 362880.0
        s = s * r + 1.0 / 40320.0
        s = s * r + 1.0 / 5040.0
        s = s * r + 1.0 / 720.0
        s = s * r + 1.0 / 120.0
        s = s * r + 1.0 / 24.0
        s = s * r + 1.0 / 6.0
        s = s * r + 0.5
        s = s * r + 1.0
        out_m[i] = s * r + 1.0
    for i in range(len(x_m)):
        out_bits_m[i] += bits_m[i] << 52  # the exponent
    for i in range(len(x_m)):
        if x_m[i] > 709.0:
            out_m[i] = np.inf


@_in_order
def _log1p(e: float) -> float:
    """log(1 + e) for e from 0 to 1 as 2 atanh(root), by its power series; of (1 + e) / 2 where that is nearer to 1."""
    is_large = e > 0.41421356237309503
    root = (e - 1.0) / (e + 3.0) if is_large else e / (e + 2.0)
    q = root * root
    s = 1.0 / 21.0
    s = s * q + 1.0 / 19.0
    s = s * q + 1.0 / 17.0
    s = s * q + 1.0 / 15.0
    s = s * q + 1.0 / 13.0
    s = s * q + 1.0 / 11.0
    s = s * q + 1.0 / 9.0
    s = s * q + 1.0 / 7.0
    s = s * q + 1.0 / 5.0
    s = s * q + 1.0 / 3.0
    return (LN2 if is_large else 0.0) + 2.0 * root * (s * q + 1.0)


@_inner
def respond(family: int, z_m: Array, y_m: Array, loss_m: Array, r_m: Array, c_m: Array, room_m: Array) -> None:
    """Loss, residual and curvature of each row by the formulas of `family`, but poisson's term of the target alone."""
    m = len(z_m)
    if family == GAUSSIAN:
        for i in range(m):
            r_m[i] = z_m[i] - y_m[i]
            loss_m[i] = r_m[i] * r_m[i] / 2.0
            c_m[i] = 1.0
    elif family == POISSON:
        _exp(z_m, c_m, room_m)
        for i in range(m):
            r_m[i] = c_m[i] - y_m[i]
            loss_m[i] = c_m[i] - z_m[i] * y_m[i]
    else:
        for i in range(m):
            loss_m[i] = -abs(z_m[i])
        _exp(loss_m, c_m, room_m)
        for i in range(m):
            e = c_m[i]
            larger = 1.0 / (1.0 + e)
            mean = larger if z_m[i] >= 0.0 else e * larger
            wrong = z_m[i] * (1.0 - 2.0 * y_m[i])
            loss_m[i] = max(wrong, 0.0) + _log1p(e)
            r_m[i] = mean - y_m[i]
            c_m[i] = e * larger * larger


@_inner
def _residuals_at_zero(
    family: int, y_m: Array, offset_n: Array, start: int,
    z_m: Array, loss_m: Array, r_m: Array, c_m: Array, room_m: Array,
) -> None:  # fmt: skip
    """Residuals where z is the offset; all else but targets is overwritten."""
    if len(offset_n):
        _begin(z_m, 0.0, offset_n, start)
        respond(family, z_m, y_m, loss_m, r_m, c_m, room_m)
        return
    mean = 0.5 if family == BINOMIAL else 0.0 if family == GAUSSIAN else 1.0
    for i in range(len(r_m)):
        r_m[i] = mean - y_m[i]


@_inner
def _right(z_m: Array, y_m: Array, share_m: Array) -> float:
    """Rows on the side of their own class, or their shares where there are any."""
    right = 0.0
    if len(share_m):
        for i in range(len(z_m)):
            right += share_m[i] if (z_m[i] >= 0.0) == (y_m[i] > 0.5) else 0.0
    else:
        for i in range(len(z_m)):
            right += 1.0 if (z_m[i] >= 0.0) == (y_m[i] > 0.5) else 0.0
    return right


# --- rows as columns of a tile


@_inner
def _predict_tile(tile_dm: Array, theta_p: Array, z_m: Array, square_m: Array) -> None:
    """z += x theta, and the squared length of each row; four columns at a time."""
    d, m = len(tile_dm), len(z_m)
    for i in range(m):
        square_m[i] = 0.0
    for j in range(0, d - 3, 4):
        a_m, b_m, e_m, f_m = tile_dm[j], tile_dm[j + 1], tile_dm[j + 2], tile_dm[j + 3]
        ta, tb, te, tf = theta_p[j], theta_p[j + 1], theta_p[j + 2], theta_p[j + 3]
        for i in range(m):
            a, b, e, f = np.float64(a_m[i]), np.float64(b_m[i]), np.float64(e_m[i]), np.float64(f_m[i])
            z_m[i] += (ta * a + tb * b) + (te * e + tf * f)
            square_m[i] += (a * a + b * b) + (e * e + f * f)
    for j in range(d - d % 4, d):
        x_m, factor = tile_dm[j], theta_p[j]
        for i in range(m):
            x = np.float64(x_m[i])
            z_m[i] += factor * x
            square_m[i] += x * x


@_inner
def _collect_tile(tile_dm: Array, r_m: Array, c_m: Array, out_p: Array, edge_p: Array) -> None:
    """out += x' r and edge += x' c, two columns at a time."""
    d = len(tile_dm)
    for j in range(0, d, 2):
        k = min(j + 1, d - 1)
        a_m, b_m = tile_dm[j], tile_dm[k]
        ar = br = ac = bc = 0.0
        for i in range(len(r_m)):
            ar += a_m[i] * r_m[i]
            br += b_m[i] * r_m[i]
            ac += a_m[i] * c_m[i]
            bc += b_m[i] * c_m[i]
        out_p[j] += ar
        edge_p[j] += ac
        if k > j:
            out_p[k] += br
            edge_p[k] += bc


@_inner
def _gram_tile(tile_dm: Array, c_m: Array, curved_3m: Array, out_qq: Array) -> None:
    """The lower triangle of out += x' diag(c) x, eight entries at a time; the upper one is overwritten with anything.

    Products and the sums over one tile are of the dtype of x. `curved`: room for two columns and for c in that dtype.
    """
    d, m, zero = len(tile_dm), len(c_m), tile_dm.dtype.type(0)
    u, v, w = curved_3m[0], curved_3m[1], curved_3m[2]
    for i in range(m):
        w[i] = c_m[i]
    for j in range(0, d, 2):
        g, h = tile_dm[j], tile_dm[min(j + 1, d - 1)]
        for i in range(m):
            u[i] = g[i] * w[i]
            v[i] = h[i] * w[i]
        for k in range(0, j + 2, 4):
            a, b = tile_dm[k], tile_dm[min(k + 1, d - 1)]
            e, f = tile_dm[min(k + 2, d - 1)], tile_dm[min(k + 3, d - 1)]
            ua = ub = ue = uf = va = vb = ve = vf = zero
            for i in range(m):
                ua += u[i] * a[i]
                ub += u[i] * b[i]
                ue += u[i] * e[i]
                uf += u[i] * f[i]
                va += v[i] * a[i]
                vb += v[i] * b[i]
                ve += v[i] * e[i]
                vf += v[i] * f[i]
            out_qq[j, k] += ua
            out_qq[j, k + 1] += ub
            out_qq[j, k + 2] += ue
            out_qq[j, k + 3] += uf
            out_qq[j + 1, k] += va
            out_qq[j + 1, k + 1] += vb
            out_qq[j + 1, k + 2] += ve
            out_qq[j + 1, k + 3] += vf


# --- rows as they lie


@_inner
def _predict_rows(x_md: Array, theta_p: Array, z_m: Array) -> None:
    """z += x theta, four rows at a time."""
    m, d = x_md.shape
    for i in range(0, m, 4):
        rest = min(4, m - i)
        a, b = x_md[i], x_md[i + min(1, rest - 1)]
        e, f = x_md[i + min(2, rest - 1)], x_md[i + rest - 1]
        za = zb = ze = zf = 0.0
        for j in range(d):
            factor = theta_p[j]
            za += a[j] * factor
            zb += b[j] * factor
            ze += e[j] * factor
            zf += f[j] * factor
        z_m[i] += za
        if rest > 1:
            z_m[i + 1] += zb
        if rest > 2:
            z_m[i + 2] += ze
        if rest > 3:
            z_m[i + 3] += zf


@_inner
def _collect_rows(x_md: Array, r_m: Array, out_p: Array) -> None:
    """out += x' r, four rows at a time."""
    m, d = x_md.shape
    whole = m - m % 4
    for i in range(0, whole, 4):
        a, b, e, f = x_md[i], x_md[i + 1], x_md[i + 2], x_md[i + 3]
        ra, rb, re, rf = r_m[i], r_m[i + 1], r_m[i + 2], r_m[i + 3]
        for j in range(d):
            out_p[j] += (ra * a[j] + rb * b[j]) + (re * e[j] + rf * f[j])
    for i in range(whole, m):
        for j in range(d):
            out_p[j] += r_m[i] * x_md[i, j]


# --- both


@_inner
def _rows_at_once(d: int, itemsize: int) -> int:
    return max(4, min(TILE_ROWS, BLOCK_BYTES // (d * itemsize) // 4 * 4))


@_inner
def _begin(z_m: Array, intercept: float, offset_n: Array, start: int) -> None:
    for i in range(len(z_m)):
        z_m[i] = intercept
    if len(offset_n):
        for i in range(len(z_m)):
            z_m[i] += offset_n[start + i]


@_inner
def _follow(drift: int, z_m: Array, curved_at_n: Array, start: int) -> float:
    """Keep z, or tell how far it is at most from what was kept."""
    most = 0.0
    if drift == KEEP_PREDICTOR:
        for i in range(len(z_m)):
            curved_at_n[start + i] = z_m[i]
    elif drift == MEASURE_DRIFT:
        for i in range(len(z_m)):
            most = max(most, abs(z_m[i] - curved_at_n[start + i]))
    return most


@_inner
def _scale(a_m: Array, factor_n: Array, start: int) -> None:
    for i in range(len(a_m)):
        a_m[i] *= factor_n[start + i]


@_inner
def _sum(a_m: Array) -> float:
    total = 0.0
    for i in range(len(a_m)):
        total += a_m[i]
    return total


@_inner
def _least(a_m: Array, least: float) -> float:
    for i in range(len(a_m)):
        if a_m[i] < least:  # noqa: PLR1730  min() takes five times as long
            least = a_m[i]
    return least


@_inner
def _most(a_m: Array, most: float) -> float:
    for i in range(len(a_m)):
        if a_m[i] > most:  # noqa: PLR1730  as above
            most = a_m[i]
    return most


@_inner
def _finish_hessian(gram_qq: Array, edge_p: Array, d: int, even_share: float, hessian_pp: Array) -> None:
    """Both triangles, with the row and column of the implied ones."""
    for j in range(len(edge_p)):
        for k in range(j + 1):
            entry = (edge_p[k] if j == d else gram_qq[j, k]) * even_share
            hessian_pp[j, k] = entry
            hessian_pp[k, j] = entry


@compiled(FOR_DERIVATIVES, FAST)
def fused_pass(
    x_nd: Array, y_n: Array, offset_n: Array, share_n: Array, even_share: float, theta_p: Array,
    family: int, drift: int, curved_at_n: Array, curvature_n: Array,
    gradient_p: Array, at_zero_p: Array, hessian_pp: Array,
) -> tuple[float, float, float, float, float]:  # fmt: skip
    """The loss, the drift, the rows of two classes that are right, and if a Hessian is wanted the least weight of a row
    in it and the largest squared length of a row of x; the rest goes to where it is given room.

    Empty offsets, shares, curvatures, gradient at parameters of zero and Hessian: there are none, each row has
    `even_share`, they are not wanted. The predictor is kept in `curved_at` or compared with it, as `drift` says. A
    Hessian is had of narrow rows only, and without that other gradient.
    """
    n, d = x_nd.shape
    p, wants_hessian = len(theta_p), len(hessian_pp) > 0
    n_block, d_tile = _rows_at_once(d, x_nd.itemsize), d if wants_hessian else 0
    tile_dm, curved_3m = np.empty((d_tile, TILE_STRIDE), x_nd.dtype), np.empty((3, TILE_STRIDE), x_nd.dtype)
    gram_qq, edge_p = np.zeros((d_tile + 4, d_tile + 4)), np.zeros(p)
    room_5m = np.empty((5, n_block))
    intercept, total, most = float(theta_p[d]) if p > d else 0.0, 0.0, 0.0
    right, least, square = 0.0, np.inf, 0.0
    gradient_p[:] = 0.0
    at_zero_p[:] = 0.0
    for start in range(0, n, n_block):
        m = min(n_block, n - start)
        x_md, y_m = x_nd[start : start + m], y_n[start : start + m]
        z_m, loss_m, r_m, c_m = room_5m[0, :m], room_5m[1, :m], room_5m[2, :m], room_5m[3, :m]
        _begin(z_m, intercept, offset_n, start)
        if wants_hessian:
            transpose(x_md, tile_dm)
            _predict_tile(tile_dm, theta_p, z_m, loss_m)
            square = _most(loss_m, square)
        else:
            _predict_rows(x_md, theta_p, z_m)
        if drift != WITHOUT_DRIFT:
            most = max(most, _follow(drift, z_m, curved_at_n, start))
        if family == BINOMIAL:
            right += _right(z_m, y_m, share_n[start : start + m])
        respond(family, z_m, y_m, loss_m, r_m, c_m, room_5m[4, :m])
        if len(share_n):
            _scale(loss_m, share_n, start)
            _scale(r_m, share_n, start)
            _scale(c_m, share_n, start)
        total += _sum(loss_m)
        if len(curvature_n):
            for i in range(m):
                curvature_n[start + i] = c_m[i] * even_share
        if wants_hessian:
            least = _least(c_m, least)
            _collect_tile(tile_dm, r_m, c_m, gradient_p, edge_p)
            _gram_tile(tile_dm, c_m, curved_3m, gram_qq)
        else:
            _collect_rows(x_md, r_m, gradient_p)
        if p > d:
            gradient_p[d] += _sum(r_m)
        if wants_hessian and p > d:
            edge_p[d] += _sum(c_m)
        if len(at_zero_p):
            _residuals_at_zero(family, y_m, offset_n, start, z_m, loss_m, r_m, c_m, room_5m[4, :m])
            if len(share_n):
                _scale(r_m, share_n, start)
            _collect_rows(x_md, r_m, at_zero_p)
            if p > d:
                at_zero_p[d] += _sum(r_m)
    for j in range(p):
        gradient_p[j] *= even_share
    for j in range(len(at_zero_p)):
        at_zero_p[j] *= even_share
    if wants_hessian:
        _finish_hessian(gram_qq, edge_p, d, even_share, hessian_pp)
    return total * even_share, most, right, least * even_share, square


@compiled(FOR_PRODUCTS, FAST)
def products(x_nd: Array, direction_p: Array, weight_n: Array, predictor_n: Array, out_p: Array) -> None:
    """predictor = x direction, and out = x' (weight * predictor), from one read.

    Without a direction the predictor is 1; what has no room is not computed. The column of ones is implied where
    direction or out have an entry more than x has columns.
    """
    n, d = x_nd.shape
    n_block, has_direction = _rows_at_once(d, x_nd.itemsize), len(direction_p) > 0
    intercept = 0.0 if has_direction else 1.0
    if len(direction_p) > d:
        intercept = float(direction_p[d])
    room_m = np.empty(n_block)
    for j in range(len(out_p)):
        out_p[j] = 0.0
    for start in range(0, n, n_block):
        m = min(n_block, n - start)
        x_md, z_m = x_nd[start : start + m], room_m[:m]
        _begin(z_m, intercept, room_m[:0], 0)
        if has_direction:
            _predict_rows(x_md, direction_p, z_m)
        if len(predictor_n):
            for i in range(m):
                predictor_n[start + i] = z_m[i]
        if len(out_p):
            _scale(z_m, weight_n, start)
            _collect_rows(x_md, z_m, out_p)
        if len(out_p) > d:
            out_p[d] += _sum(z_m)


@compiled(FOR_MOMENTS, FAST)
def moments(x_nd: Array, weight_n: Array, sum_p: Array, square_p: Array) -> None:
    """sum = x' weight and square = (x * x)' weight, the column of ones implied where they have an entry more than x."""
    n, d = x_nd.shape
    for j in range(len(sum_p)):
        sum_p[j] = 0.0
        square_p[j] = 0.0
    whole = n - n % 4
    for i in range(0, whole, 4):
        a, b, e, f = x_nd[i], x_nd[i + 1], x_nd[i + 2], x_nd[i + 3]
        wa, wb, we, wf = weight_n[i], weight_n[i + 1], weight_n[i + 2], weight_n[i + 3]
        for j in range(d):
            xa, xb, xe, xf = wa * a[j], wb * b[j], we * e[j], wf * f[j]
            sum_p[j] += (xa + xb) + (xe + xf)
            square_p[j] += (xa * a[j] + xb * b[j]) + (xe * e[j] + xf * f[j])
    for i in range(whole, n):
        for j in range(d):
            sum_p[j] += weight_n[i] * x_nd[i, j]
            square_p[j] += weight_n[i] * x_nd[i, j] * x_nd[i, j]
    if len(sum_p) > d:
        sum_p[d] = _sum(weight_n)
        square_p[d] = sum_p[d]


# --- a whole fit of few rows, where each call from outside would cost as much as a pass


@_inner
def _factorise(hessian_qq: Array, scale_q: Array) -> bool:
    """In place: L of D^-1/2 H D^-1/2 = L L', D the diagonal of H, and D^-1/2 as the scale; whether there is one."""
    q = len(scale_q)
    for j in range(q):
        scale_q[j] = 1.0 / math.sqrt(hessian_qq[j, j])
    for j in range(q):
        for k in range(j + 1):
            entry = hessian_qq[j, k] * scale_q[j] * scale_q[k]
            for i in range(k):
                entry -= hessian_qq[j, i] * hessian_qq[k, i]
            if k < j:
                hessian_qq[j, k] = entry / hessian_qq[k, k]
            elif entry > ROOT_OF_SINGULAR * ROOT_OF_SINGULAR:
                hessian_qq[j, j] = math.sqrt(entry)
            else:
                return False
    return True


@_inner
def _newton_step(lower_qq: Array, scale_q: Array, gradient_q: Array, step_q: Array) -> float:
    """step = -H^-1 g; tells the squared decrement g' H^-1 g."""
    q, square = len(scale_q), 0.0
    for j in range(q):
        entry = -gradient_q[j] * scale_q[j]
        for i in range(j):
            entry -= lower_qq[j, i] * step_q[i]
        step_q[j] = entry / lower_qq[j, j]
        square += step_q[j] * step_q[j]
    for j in range(q - 1, -1, -1):
        entry = step_q[j]
        for i in range(j + 1, q):
            entry -= lower_qq[i, j] * step_q[i]
        step_q[j] = entry / lower_qq[j, j]
    for j in range(q):
        step_q[j] *= scale_q[j]
    return square


@compiled(FOR_MINIMUM, FAST)
def minimise(
    x_nd: Array, y_n: Array, offset_n: Array, share_n: Array, even_share: float, l2_p: Array, target_term: float,
    theta_p: Array, family: int, tolerance: float, sufficient_decrease: float, max_passes: int,
) -> tuple[float, bool]:  # fmt: skip
    """Moves theta to the minimum by the steps of `LazyNewton`, as long as the whole of each lowers F enough.

    Tells F at first, and whether half the squared decrement came to be at most `tolerance` times F.
    """
    p = len(theta_p)
    hessian_pp, no_hessian = np.empty((p, p)), np.empty((0, 0))
    gradient_p, step_p, scale_p = np.empty(p), np.empty(p), np.empty(p)
    curved_at_n, nothing = np.empty_like(y_n), np.empty(0)
    first, limit, last, is_renewed = np.nan, np.inf, np.inf, True
    for _ in range(max_passes):
        loss, drift, _right, _least, _square = fused_pass(
            x_nd, y_n, offset_n, share_n, even_share, theta_p, family,
            KEEP_PREDICTOR if is_renewed else MEASURE_DRIFT, curved_at_n, nothing,
            gradient_p, nothing, hessian_pp if is_renewed else no_hessian,
        )  # fmt: skip
        value = loss + target_term
        for j in range(p):
            value += 0.5 * l2_p[j] * theta_p[j] * theta_p[j]
            gradient_p[j] += l2_p[j] * theta_p[j]
            if is_renewed:
                hessian_pp[j, j] += l2_p[j]
        if limit == np.inf:
            first = value
        if not value <= limit or (is_renewed and not _factorise(hessian_pp, scale_p)):
            return first, False
        square = _newton_step(hessian_pp, scale_p, gradient_p, step_p)
        if square <= 2.0 * tolerance * value:
            return first, True
        if not is_renewed and (square > CONTRACTION * CONTRACTION * last or drift > MAX_DRIFT):
            is_renewed = True
            continue
        for j in range(p):
            theta_p[j] += step_p[j]
        limit, last = value - sufficient_decrease * square, square
        is_renewed = family == BINOMIAL and square > LONG_STEP * LONG_STEP
    return first, False


@_inner
def _predict(x_md: Array, theta_p: Array, offset_n: Array, start: int, z_m: Array) -> None:
    """z = x theta + offset."""
    d = x_md.shape[1]
    _begin(z_m, float(theta_p[d]) if len(theta_p) > d else 0.0, offset_n, start)
    _predict_rows(x_md, theta_p, z_m)


@compiled(FOR_LINEARISATION, FAST)
def linearisation_error(
    x_nd: Array, offset_n: Array, share_n: Array, even_share: float,
    theta_p: Array, step_p: Array, curved_at_p: Array, family: int, out_p: Array,
) -> None:  # fmt: skip
    """out = sum share (mean(z + u) - mean(z) - mean'(c) u) x, u = x step: the gradient's change along a step less what
    the Hessian at other parameters makes of it. z and c are the predictors at theta and at those."""
    n, d = x_nd.shape
    n_block, is_here = _rows_at_once(d, x_nd.itemsize), True
    for j in range(len(theta_p)):
        is_here = is_here and theta_p[j] == curved_at_p[j]
        out_p[j] = 0.0
    room_8m, target_m = np.empty((8, n_block)), np.zeros(n_block)
    for start in range(0, n, n_block):
        m = min(n_block, n - start)
        x_md, y_m = x_nd[start : start + m], target_m[:m]
        z_m, u_m, error_m, mean_m = room_8m[0, :m], room_8m[1, :m], room_8m[2, :m], room_8m[3, :m]
        c_m, loss_m, rest_m, there_m = room_8m[4, :m], room_8m[5, :m], room_8m[6, :m], room_8m[7, :m]
        _predict(x_md, step_p, offset_n[:0], 0, u_m)
        _predict(x_md, theta_p, offset_n, start, z_m)
        respond(family, z_m, y_m, loss_m, mean_m, c_m, rest_m)
        for i in range(m):
            z_m[i] += u_m[i]
            error_m[i] = -mean_m[i]
        if not is_here:
            _predict(x_md, curved_at_p, offset_n, start, there_m)
            respond(family, there_m, y_m, loss_m, mean_m, c_m, rest_m)
        for i in range(m):
            error_m[i] -= c_m[i] * u_m[i]
        respond(family, z_m, y_m, loss_m, mean_m, c_m, rest_m)
        for i in range(m):
            error_m[i] += mean_m[i]
        if len(share_n):
            _scale(error_m, share_n, start)
        _collect_rows(x_md, error_m, out_p)
        if len(out_p) > d:
            out_p[d] += _sum(error_m)
    for j in range(len(out_p)):
        out_p[j] *= even_share
