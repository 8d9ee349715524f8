"""Parts of a pass on several threads: the same bits, and nothing more in memory than as many parts as threads."""

import threading
from collections.abc import Iterator

import pytest
import torch

from gradline.training import Family, Objective, Problem, make_problem
from gradline.training.derivatives import Want
from gradline.training.loss import ChunkedLoss
from gradline.training.threads import each_in_turn

N_THREADS = 3


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(N_THREADS)
    yield
    torch.set_num_threads(before)


def in_chunks(monkeypatch: pytest.MonkeyPatch, n_chunks: int) -> Problem:
    generator = torch.Generator().manual_seed(0)
    n, d = 4000, 20
    x_nd = torch.randn(n, d, generator=generator, dtype=torch.float32)
    problem = make_problem(x_nd, (torch.rand(n, generator=generator) < 0.4).long(), Family.BINOMIAL)
    monkeypatch.setattr("gradline.training.cpu.fused.MIN_ENTRIES", 1)
    monkeypatch.setattr("gradline.training.problem.CHUNK_BYTES", -(-n // n_chunks) * problem.p * 4)
    assert len(problem.chunks()) == n_chunks
    return problem


@pytest.mark.parametrize("want", Want)
def test_bits_do_not_depend_on_the_number_of_threads(want: Want, monkeypatch: pytest.MonkeyPatch, three_threads: None):
    problem = in_chunks(monkeypatch, 7)
    theta_bkp = torch.linspace(-0.5, 0.5, problem.p, dtype=torch.float64).view(1, 1, -1)
    told = []
    for n_threads in (1, N_THREADS):
        torch.set_num_threads(n_threads)
        with torch.inference_mode():
            objective = Objective(problem)
            found = objective.derivatives(theta_bkp, want)
            told.append([t for t in found if isinstance(t, torch.Tensor)])
            if want == Want.PRODUCTS:
                told[-1].append(objective.hessian_product(found.weights, theta_bkp).clone())
    assert len(told[0]) >= 3
    assert all(torch.equal(one, other) for one, other in zip(*told, strict=True))


def test_parts_are_worked_on_beside_each_other_and_told_in_order(three_threads: None):
    meeting = threading.Barrier(N_THREADS, timeout=60)

    def work(part: int) -> tuple[int, bool]:
        meeting.wait()  # nobody gets past alone
        return part, torch.is_inference_mode_enabled()

    for is_inference in (False, True):
        with torch.inference_mode(is_inference):
            found = list(each_in_turn(work, list(range(2 * N_THREADS)), None))
        assert found == [(part, is_inference) for part in range(2 * N_THREADS)]


def test_no_more_parts_than_threads_are_read_before_they_are_let_go(three_threads: None):
    held: list[int] = []
    most = []

    def let_go() -> None:
        most.append(len(held))
        held.clear()

    list(each_in_turn(held.append, list(range(8)), let_go))
    assert most == [3, 3, 2]


def test_what_fails_on_a_thread_fails_the_pass(three_threads: None):
    def work(part: int) -> int:
        return 1 // (part - 4)

    with pytest.raises(ZeroDivisionError):
        list(each_in_turn(work, list(range(8)), None))


def test_chunks_without_a_kernel_are_left_to_the_threads_of_torch(monkeypatch: pytest.MonkeyPatch, three_threads: None):
    problem = in_chunks(monkeypatch, 7)
    monkeypatch.setattr("gradline.training.loss.each_in_turn", None)
    theta_bkp = torch.zeros(2, 1, problem.p, dtype=torch.float64)  # of two members there is none
    found = Objective(problem, n_members=2).derivatives(theta_bkp)
    assert found.value_b.tolist() == pytest.approx([0.6931472, 0.6931472])
    with pytest.raises(TypeError):
        Objective(problem).derivatives(theta_bkp[:1])
    assert isinstance(Objective(problem)._loss, ChunkedLoss)
