"""The notes' regression through the runner of the kind, against the plain script that the notes hold."""

from typing import Any, NamedTuple

import pytest
import torch

from tests.numerics.attempts import train


class Line(NamedTuple):
    loss: float
    accuracy: float
    weights: list[float]
    bias: float


def plain_script(
    seed: int, n: int, *, mean: float, bias: float, lr: float, momentum: float, max_steps: int
) -> dict[int, Line]:
    """nn.Linear, sigmoid, BCELoss and optim.SGD, as a tutorial writes them; what it prints every 20 steps."""
    torch.manual_seed(seed)
    ones = torch.ones(n, 2)
    x = torch.cat((torch.normal(mean * ones, 1) + bias, torch.normal(-mean * ones, 1) + bias))
    y = torch.cat((torch.zeros(n), torch.ones(n)))
    net, criterion = torch.nn.Linear(2, 1), torch.nn.BCELoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    printed = {}
    for step in range(max_steps):
        prediction = torch.sigmoid(net(x)).squeeze()
        loss = criterion(prediction, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 0:
            accuracy = ((prediction >= 0.5).float() == y).float().mean().item()
            printed[step] = Line(loss.item(), accuracy, net.weight[0].tolist(), net.bias.item())
            if accuracy > 0.99:
                break
    return printed


def notes_spec(seed: int, n: int, **changes: Any) -> dict[str, Any]:
    settings = {"mean": 1.7, "bias": 1.0, "lr": 0.01, "momentum": 0.9, "max_steps": 1000} | changes
    return {
        "data": {"source": "blobs", "samples_per_class": n, "mean": settings["mean"], "bias": settings["bias"]},
        "solver": {"name": "sgd", "learning_rate": settings["lr"], "momentum": settings["momentum"]},
        "stop": {"max_steps": settings["max_steps"], "accuracy_above": 0.99},
        "seed": seed,
    }


def test_the_notes_regression_ends_with_their_numbers():
    result, attempt = train(**notes_spec(10, 100))
    assert result["outcome"] == "target_reached"
    assert result["steps"] == 380
    assert attempt.points[0] == {"loss": pytest.approx(0.394664, abs=1e-6), "accuracy": pytest.approx(0.92)}
    assert attempt.points[200] == {"loss": pytest.approx(0.069742, abs=1e-6), "accuracy": pytest.approx(0.985)}
    assert attempt.points[380] == {"loss": pytest.approx(0.049277, abs=1e-6), "accuracy": pytest.approx(0.995)}
    assert [c["estimate"] for c in result["coefficients"]] == pytest.approx([-1.413940, -1.476876], abs=5e-6)
    assert result["intercepts"][0]["estimate"] == pytest.approx(1.926161, abs=5e-6)
    assert result["classes"] == {"names": [0, 1], "positive": 1}
    assert sorted(attempt.points) == list(range(0, 381, 20))


@pytest.mark.parametrize(
    ("seed", "n", "changes"),
    [
        (0, 100, {}),
        (1, 37, {"lr": 0.1}),
        (2, 500, {"momentum": 0.0}),
        (123456789, 100, {"lr": 0.003, "mean": 0.8, "max_steps": 300}),
        (7, 1, {"max_steps": 41}),
        (10, 100, {"bias": -2.0, "lr": 1.0}),
    ],
)
def test_every_report_agrees_with_the_plain_script(seed: int, n: int, changes: dict[str, Any]):
    spec = notes_spec(seed, n, **changes)
    settings = {"mean": 1.7, "bias": 1.0, "lr": 0.01, "momentum": 0.9, "max_steps": 1000} | changes
    expected = plain_script(seed, n, **settings)
    result, attempt = train(**spec)
    reported = {step: point for step, point in attempt.points.items() if step % 20 == 0}
    assert sorted(reported) == sorted(expected)
    for step, line in expected.items():
        assert reported[step]["loss"] == pytest.approx(line.loss, abs=2e-6, rel=1e-5)
        assert reported[step]["accuracy"] == pytest.approx(line.accuracy)
        assert attempt.weights[step]["weights"] == pytest.approx(line.weights, abs=2e-5, rel=1e-5)
        assert attempt.weights[step]["bias"] == pytest.approx(line.bias, abs=2e-5, rel=1e-5)
    if result["outcome"] == "target_reached":
        assert result["steps"] == max(expected)
    else:
        assert result["steps"] == settings["max_steps"] - 1


def test_the_same_spec_twice_gives_the_same_bits():
    first, _ = train(**notes_spec(10, 100))
    second, _ = train(**notes_spec(10, 100))
    assert first == second


def test_blobs_with_a_seed_of_their_own_leave_the_stream_to_the_weights():
    spec = notes_spec(10, 50)
    spec["data"]["seed"] = 3
    _, attempt = train(**spec)
    spec["seed"] = 11
    _, other = train(**spec)
    assert attempt.points[0] != other.points[0]
    torch.manual_seed(10)
    weights = torch.nn.Linear(2, 1).weight[0].tolist()
    spec |= {"seed": 10, "solver": {"name": "sgd", "learning_rate": 1e-30}, "stop": {"max_steps": 1}}
    result, _ = train(**spec)
    assert [c["estimate"] for c in result["coefficients"]] == weights
