"""The scorecard as a torch.export program: loads with `torch.export.load`, without pickle and without Gradline.

It takes numbers_nj (float64; NaN where a value is missing), codes_nt (int64; the index of each text column's level in
the scorecard's `levels`, with missing and unseen ones already replaced) and, where the model has one, offset_n. The
columns stand in the order of the scorecard's `inputs`. Out come probabilities [n, classes] or predictions [n].
"""

import io
from functools import reduce

import torch
from torch import Tensor

from gradline.scoring import Scorecard, Table


class ScorecardModule(torch.nn.Module):  # type: ignore[misc]  # torch carries no types here
    """Shapes as in `gradline.scoring`: j atoms, t text columns, k outputs."""

    def __init__(self, card: Scorecard) -> None:
        super().__init__()
        self._tables: list[Table] = card.tables
        self._is_exp = not card.has_classes and card.document["family"] != "gaussian"
        self._has_classes = card.has_classes
        fills = [float("nan") if i.fill is None else i.fill for i in card.numbers]
        self.register_buffer("fill_j", torch.tensor(fills, dtype=torch.float64))
        self.register_buffer("indicators", torch.tensor(card.indicators, dtype=torch.int64))
        self.register_buffer("weights_jk", torch.from_numpy(card.weights_jk))
        self.register_buffer("intercepts_k", torch.from_numpy(card.intercepts_k))
        for i, table in enumerate(card.tables):
            self.register_buffer(f"table_{i}", torch.from_numpy(table.coefficients))

    def forward(self, numbers_nj: Tensor, codes_nt: Tensor, offset_n: Tensor) -> Tensor:
        is_missing_nj = torch.isnan(numbers_nj)
        filled_nj = torch.where(is_missing_nj, self.fill_j, numbers_nj)
        atoms_nj = torch.cat((filled_nj, is_missing_nj[:, self.indicators].to(filled_nj.dtype)), 1)
        z_nk = atoms_nj @ self.weights_jk + self.intercepts_k + offset_n.unsqueeze(1)
        for i, table in enumerate(self._tables):
            part_nk = getattr(self, f"table_{i}")
            if table.inputs:
                part_nk = part_nk[tuple(codes_nt[:, t] for t in table.inputs)]
            z_nk = z_nk + reduce(torch.mul, (atoms_nj[:, [a]] for a in table.atoms), part_nk)
        if not self._has_classes:
            return z_nk[:, 0].exp() if self._is_exp else z_nk[:, 0]
        if z_nk.shape[1] == 1:
            z_nk = torch.cat((torch.zeros_like(z_nk), z_nk), 1)
        return torch.softmax(z_nk, 1)


def write_torch(card: Scorecard) -> bytes:
    """The bytes of a .pt2 file; any number of rows."""
    example = (
        torch.zeros(2, len(card.numbers), dtype=torch.float64),
        torch.zeros(2, len(card.texts), dtype=torch.int64),
        torch.zeros(2, dtype=torch.float64),
    )
    rows = torch.export.Dim("rows")
    with torch.no_grad():
        program = torch.export.export(ScorecardModule(card), example, dynamic_shapes=({0: rows}, {0: rows}, {0: rows}))
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()
