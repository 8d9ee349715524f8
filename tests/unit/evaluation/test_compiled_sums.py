"""What compiled kernels find of two classes is what the tensors' formulas give."""

import pytest
import torch

from gradline.evaluation.classes import Predicted, measured, sums, sums_of_two


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_measures_of_two_classes_are_the_same_by_either_way(dtype: torch.dtype):
    generator, n, boundary = torch.Generator().manual_seed(0), 5003, 0.4
    z_n = torch.randn(n, generator=generator, dtype=dtype) * 3
    z_n[:6] = torch.tensor([-800.0, -40.0, 0.0, boundary, 40.0, 800.0])
    class_n = (torch.rand(n, generator=generator) < torch.sigmoid(z_n)).long()
    weight_n1 = torch.rand(n, 1, generator=generator, dtype=torch.float64)
    wide_n = z_n.double()
    loss_n = -torch.nn.functional.logsigmoid(wide_n * (2 * class_n - 1))
    score_nc = torch.stack((-wide_n, wide_n), 1)
    said = Predicted(score_nc.sigmoid(), loss_n, (wide_n >= boundary).long(), score_nc)
    by_formulas = measured([sums(said, class_n, weight_n1)], {})
    compiled = measured([sums_of_two(z_n, class_n, weight_n1, boundary)], {})
    for name, value_r in by_formulas.overall.items():
        torch.testing.assert_close(compiled.overall[name], value_r, rtol=1e-11, atol=1e-13, msg=name)


def test_a_predictor_that_is_no_number_makes_the_loss_none_and_harms_nothing_else():
    z_n, y_n = torch.tensor([1.0, torch.nan, -1.0]), torch.tensor([1.0, 1.0, 0.0])
    found = sums_of_two(z_n, y_n, torch.ones(3, 1, dtype=torch.float64), 0.0)
    assert found.loss_r.isnan().all()
    assert found.confusion_rcc.tolist() == [[[1.0, 0.0], [0.0, 1.0]]]
