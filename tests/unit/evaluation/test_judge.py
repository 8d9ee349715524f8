"""What is said of a problem's rows as a whole: metrics and intervals."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sk
from torch.utils._python_dispatch import TorchDispatchMode

from gradline.evaluation import bootstrap
from gradline.evaluation import judge as judging
from gradline.evaluation.judge import Judgement, judge
from gradline.evaluation.tables import score_table
from gradline.training import Family, make_problem


class Largest(TorchDispatchMode):
    """Counts the entries of the largest tensor that is made."""

    n = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.n = max(self.n, tensor.numel())
        return made


def binomial(n: int, seed: int = 0, threshold: float = 0.5) -> Judgement:
    generator = torch.Generator().manual_seed(seed)
    z_n1 = 1.5 * torch.randn(n, 1, dtype=torch.float64, generator=generator) - 0.5
    class_n = (torch.rand(n, generator=generator) < torch.sigmoid(z_n1[:, 0])).long()
    problem = make_problem(torch.zeros(n, 1, dtype=torch.float64), class_n, Family.BINOMIAL)
    return judge(problem, z_n1, threshold=threshold)


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    x, y = torch.zeros(3, 1, dtype=torch.float64), torch.tensor([0, 1, 1])
    z = torch.tensor([[0.3], [-0.4], [2.0]], dtype=torch.float64)
    weighted = make_problem(x, y, Family.BINOMIAL, weight_n=torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64))
    twice = torch.tensor([0, 1, 1, 2])
    repeated = make_problem(x[twice], y[twice], Family.BINOMIAL)
    found, expected = judge(weighted, z).metrics(), judge(repeated, z[twice]).metrics()
    assert found | {"n": 4} == pytest.approx(expected)


@pytest.mark.parametrize("weight", [torch.arange(60) % 5, torch.full((60,), 4)], ids=["different", "the same"])
def test_rows_of_whole_weights_have_the_score_table_of_so_many_rows(weight: torch.Tensor) -> None:
    said = binomial(60)
    weighted = score_table(replace(said, weight_n=weight.double()).ordered(1), said.link)
    rows = score_table(said.at(torch.repeat_interleave(weight)).ordered(1), said.link)
    kept = np.add(weighted["positive"], weighted["negative"]) > 0
    for name, column in rows.items():
        assert np.array(weighted[name])[kept].tolist() == pytest.approx(column, rel=1e-12), name


def test_rows_of_whole_weights_have_the_intervals_of_so_many_rows() -> None:
    said, generator = binomial(400), torch.Generator().manual_seed(1)
    weight = torch.randint(0, 9, (400,), generator=generator)
    weighted = replace(said, weight_n=weight.double()).metrics_with_intervals(1000, 0)["intervals"]
    rows = said.at(torch.repeat_interleave(weight)).metrics_with_intervals(1000, 0)["intervals"]
    for name, (low, high) in rows.items():
        assert weighted[name] == pytest.approx([low, high], abs=0.15 * (high - low)), name


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e9, 1e300])
def test_only_the_proportions_of_weights_that_are_not_whole_count(scale: float) -> None:
    x, y = torch.zeros(40, 1, dtype=torch.float64), torch.arange(40) % 2
    z, weight = torch.linspace(-1, 2, 40, dtype=torch.float64).unsqueeze(1), torch.arange(1.0, 41).double() / 41
    plain, scaled = (make_problem(x, y, Family.BINOMIAL, weight_n=weight * s) for s in (1.0, scale))
    found, expected = (judge(problem, z).metrics_with_intervals(20, 0) for problem in (scaled, plain))
    assert found.pop("intervals") == {name: pytest.approx(ends) for name, ends in expected.pop("intervals").items()}
    assert found == pytest.approx(expected, rel=1e-12)


def test_probabilities_near_certainty_lose_no_log_loss() -> None:
    problem = make_problem(torch.zeros(1, 1, dtype=torch.float64), torch.tensor([0]), Family.BINOMIAL)
    assert judge(problem, torch.tensor([[900.0]])).metrics()["log_loss"] == 900.0


def test_several_classes_are_also_measured_each() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(80, 3, dtype=torch.float64, generator=generator)
    y = torch.randint(3, (80,), generator=generator)
    problem = make_problem(torch.zeros(80, 1, dtype=torch.float64), y, Family.MULTINOMIAL, 3)
    by_class = judge(problem, z).metrics()["by_class"]
    p = torch.softmax(z, 1).numpy()
    assert by_class["recall"] == pytest.approx(sk.recall_score(y, p.argmax(1), average=None).tolist())
    assert by_class["roc_auc"] == pytest.approx([sk.roc_auc_score(y == c, p[:, c]) for c in range(3)])


@pytest.mark.parametrize("is_log", [False, True])
def test_log_linear_predictions_are_measured_on_the_scale_of_the_target(is_log: bool) -> None:
    y, z = torch.tensor([0.1, 0.9, 2.0], dtype=torch.float64), torch.tensor([[0.0], [1.0], [1.5]], dtype=torch.float64)
    found = judge(make_problem(torch.zeros(3, 1), y, Family.GAUSSIAN), z, is_log=is_log).metrics()
    truth, said = (y.exp(), z[:, 0].exp()) if is_log else (y, z[:, 0])
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(truth, said), rel=1e-6)
    assert found["r2"] == pytest.approx(sk.r2_score(truth, said), rel=1e-6)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth = binomial(200_000, seed=99).metrics()
    covered = {"log_loss": 0, "roc_auc": 0, "accuracy": 0, "mcc": 0}
    for seed in range(60):
        ends = binomial(400, seed).metrics_with_intervals(200, seed)["intervals"]
        for name in covered:
            covered[name] += ends[name][0] <= truth[name] <= ends[name][1]
    assert all(51 <= count <= 60 for count in covered.values()), covered


def test_drawing_from_fewer_rows_gives_intervals_of_the_same_width(monkeypatch: pytest.MonkeyPatch) -> None:
    said = binomial(4000)
    whole = said.metrics_with_intervals(300, 1)["intervals"]
    monkeypatch.setattr(bootstrap, "MAX_ROWS", 1000)
    part = said.metrics_with_intervals(300, 1)["intervals"]
    for name, (low, high) in whole.items():
        assert part[name][1] - part[name][0] == pytest.approx(high - low, rel=0.25), name
    assert said.metrics_with_intervals(300, 1)["intervals"] == part


def test_intervals_from_fewer_rows_know_a_rare_class_as_those_from_all_rows_do(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, n = torch.Generator().manual_seed(0), 20_000
    z_n1 = 2 * torch.randn(n, 1, dtype=torch.float64, generator=generator) - 7
    class_n = (torch.rand(n, generator=generator) < z_n1[:, 0].sigmoid()).long()
    assert 50 < class_n.sum() < 150
    said = judge(make_problem(torch.zeros(n, 1), class_n, Family.BINOMIAL), z_n1, threshold=0.1)
    monkeypatch.setattr(bootstrap, "MAX_ROWS", 1000)
    part = said.metrics_with_intervals(200, 1)["intervals"]
    monkeypatch.setattr(bootstrap, "MAX_ROWS", n)
    whole = said.metrics_with_intervals(200, 1)["intervals"]
    for name, (low, high) in whole.items():
        assert part[name] == pytest.approx([low, high], abs=0.35 * (high - low)), name


def test_every_interval_holds_the_value_it_is_of() -> None:
    metrics = binomial(300).metrics_with_intervals(200, 0)
    for name, (low, high) in metrics["intervals"].items():
        assert low <= metrics[name] <= high, name


def test_the_interval_of_a_correlation_goes_below_zero_and_not_below_minus_one() -> None:
    said = binomial(300)
    low, high = replace(said, z_nk=-said.z_nk).metrics_with_intervals(200, 0)["intervals"]["mcc"]
    assert -1 < low < high < 0
    wrong = replace(said, z_nk=1 - 2 * said.y_nk).metrics_with_intervals(20, 0)
    assert (wrong["mcc"], wrong["intervals"]["mcc"]) == (-1.0, [-1.0, -1.0])


def test_a_threshold_moves_the_predicted_classes_only() -> None:
    low, high = binomial(500, threshold=0.2), binomial(500, threshold=0.8)
    assert torch.equal(low.predicted_n, (low.response_nc[:, 1] >= 0.2).long())
    assert low.metrics()["recall"] > high.metrics()["recall"]
    assert low.metrics()["log_loss"] == high.metrics()["log_loss"]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_many_rows_are_measured_in_blocks_as_all_at_once(monkeypatch: pytest.MonkeyPatch, n_classes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    n, family = 5000, Family.BINOMIAL if n_classes == 2 else Family.MULTINOMIAL
    y_n = torch.randint(n_classes, (n,), generator=generator)
    weight_n = torch.rand(n, generator=generator, dtype=torch.float64)
    problem = make_problem(torch.zeros(n, 1), y_n, family, n_classes, weight_n=weight_n)
    z_nk = torch.randn(n, problem.k, generator=generator, dtype=torch.float64)
    whole = judge(problem, z_nk)
    at_once, counts = whole.metrics(), whole.confusion_counts()
    monkeypatch.setattr(judging, "BLOCK_ROWS", 700)
    assert len(list(whole.parts())) == 8
    in_blocks = whole.metrics()
    at_once |= at_once.pop("by_class", {})
    in_blocks |= in_blocks.pop("by_class", {})
    for name, value in at_once.items():
        assert in_blocks[name] == pytest.approx(value, abs=1e-12), name
    assert whole.confusion_counts() == counts


def numbers(n: int, scale: float = 1.0) -> Judgement:
    """Predictions of a target far from 0, in rows that are not in random order."""
    generator = torch.Generator().manual_seed(0)
    y_n = scale * (1e4 + torch.linspace(-5, 5, n, dtype=torch.float64))
    weight_n = torch.rand(n, generator=generator, dtype=torch.float64)
    problem = make_problem(torch.zeros(n, 1), y_n, Family.GAUSSIAN, weight_n=weight_n)
    return judge(problem, (y_n + torch.randn(n, generator=generator, dtype=torch.float64)).unsqueeze(1))


def test_errors_of_many_numbers_are_measured_in_blocks_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = numbers(5000)
    at_once = whole.metrics()
    monkeypatch.setattr(judging, "BLOCK_ROWS", 700)
    assert whole.metrics() == pytest.approx(at_once, rel=1e-10)


def test_a_target_that_is_always_the_same_has_no_share_explained() -> None:
    y_n = torch.full((7,), 0.1, dtype=torch.float64)
    problem = make_problem(torch.zeros(7, 1), y_n, Family.GAUSSIAN, weight_n=torch.arange(1.0, 8).double())
    assert judge(problem, (y_n + 1).unsqueeze(1)).metrics()["r2"] is None


def test_many_numbers_are_measured_in_memory_for_some_of_them() -> None:
    whole = numbers(400_000)
    with Largest() as largest:
        whole.metrics()
    assert largest.n < 150_000
