"""Features that stay in the host's memory, or in a mapped file, and pass over the device a part at a time.

Two parts are on the device at once: while one is worked on, the next one comes over a stream of its own, by way of
pinned memory where the host's is not pinned. `loss` goes through rows part by part too, so that all that it asks of a
part costs one transfer.

Shapes: n rows, r rows of a part, m columns of parameters, p columns of x.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training.products import DenseProducts, Products

PART_BYTES = 256 * 2**20
"""Of features: as much as a chunk of the loss on a device."""


class _Slot(NamedTuple):
    start: int
    x_rp: Tensor
    arrived: torch.cuda.Event | None
    """None on a CPU, where copies are done when they return."""


class Window:
    """The parts of one matrix that are on the device."""

    def __init__(self, x_np: Tensor, device: torch.device) -> None:
        self._x_np = x_np
        self.device = device
        self._slots: list[_Slot] = []
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def part(self, x_rp: Tensor) -> Tensor:
        """A part of the matrix, as a view of its rows, on the device until the second next is asked for."""
        start, n_rows = self._row_of(x_rp), len(x_rp)
        slot = next((s for s in self._slots if s.start == start and len(s.x_rp) == n_rows), None)
        if slot is None:
            slot = self._send(start, n_rows)
            self._slots = [slot]
        if slot.arrived is not None:
            torch.cuda.current_stream(self.device).wait_event(slot.arrived)
        self._fetch_ahead(slot)
        return slot.x_rp

    def _row_of(self, x_rp: Tensor) -> int:
        return int(x_rp.storage_offset() - self._x_np.storage_offset()) // max(1, int(self._x_np.stride(0)))

    def _fetch_ahead(self, slot: _Slot) -> None:
        """The rows after the slot's, or the first ones after the last."""
        start = slot.start + len(slot.x_rp)
        start = 0 if start >= len(self._x_np) else start
        if start == slot.start or any(s.start == start for s in self._slots):
            return
        full = max(len(slot.x_rp), *(len(s.x_rp) for s in self._slots))
        self._slots = [slot, self._send(start, min(full, len(self._x_np) - start))]

    def _send(self, start: int, n_rows: int) -> _Slot:
        rows_rp = self._x_np[start : start + n_rows]
        if self._stream is None:
            return _Slot(start, rows_rp.to(self.device, copy=True), None)
        pinned_rp = rows_rp if rows_rp.is_pinned() else rows_rp.pin_memory()
        with torch.cuda.stream(self._stream):
            x_rp = pinned_rp.to(self.device, non_blocking=True)
        # Both memories are given out again only once the streams that use them are done.
        x_rp.record_stream(torch.cuda.current_stream(self.device))
        arrived = torch.cuda.Event()
        arrived.record(self._stream)
        return _Slot(start, x_rp, arrived)


class StreamedProducts(Products):
    """As DenseProducts of the whole matrix; sums over parts are added up in float64."""

    def __init__(self, x_np: Tensor, window: Window, n_part_rows: int | None = None) -> None:
        self._x_np = x_np
        self._window = window
        row_bytes = max(1, x_np.shape[1] * x_np.element_size())
        self._parts = x_np.split(n_part_rows or max(1, PART_BYTES // row_bytes))

    def _part(self, x_rp: Tensor) -> DenseProducts:
        return DenseProducts(self._window.part(x_rp))

    def _with_rows(self, of_n: Tensor) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self._parts, of_n.split([len(x_rp) for x_rp in self._parts]), strict=True))

    def predict(self, theta_pm: Tensor, out_nm: Tensor) -> None:
        for x_rp, out_rm in self._with_rows(out_nm):
            self._part(x_rp).predict(theta_pm, out_rm)

    def collect(self, r_nm: Tensor, out_mp: Tensor) -> None:
        total_mp, part_mp = torch.zeros_like(out_mp, dtype=torch.float64), torch.empty_like(out_mp)
        for x_rp, r_rm in self._with_rows(r_nm):
            self._part(x_rp).collect(r_rm, part_mp)
            total_mp += part_mp
        out_mp.copy_(total_mp)

    def gram(self, c_n1: Tensor) -> Tensor:
        return torch.stack([self._part(x_rp).gram(c_r1) for x_rp, c_r1 in self._with_rows(c_n1)]).sum(0)

    def block(self, start: int, stop: int) -> Tensor:
        return self._x_np[start:stop].to(self._window.device)

    def highest(self) -> Tensor:
        return torch.stack([self._part(x_rp).highest() for x_rp in self._parts]).amax(0)

    def highest_of_all(self) -> Tensor:
        return torch.stack([self._part(x_rp).highest_of_all() for x_rp in self._parts]).amax(0)

    def radius(self) -> float:
        return max(self._part(x_rp).radius() for x_rp in self._parts)

    def squares(self, c_n1: Tensor) -> Tensor:
        return torch.stack([self._part(x_rp).squares(c_r1) for x_rp, c_r1 in self._with_rows(c_n1)]).sum(0)
