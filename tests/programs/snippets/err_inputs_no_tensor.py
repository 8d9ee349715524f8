import torch

x = torch.tensor([1.0, 2.0], requires_grad=True)
y = (x * x).sum()
for inputs in ([5], 5, [x, None]):
    try:
        y.backward(inputs=inputs)
    except (RuntimeError, TypeError) as error:
        print(type(error).__name__, error)
y.backward(inputs=["x"])
