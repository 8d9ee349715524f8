import torch
params = {"w": torch.ones(2, requires_grad=True), "b": torch.zeros(1, requires_grad=True)}
def model(x, w, b):
    return (x * w).sum() + b
out = model(torch.arange(2.), **params)
out.backward()
print({k: v.grad.tolist() for k, v in params.items()})
if (n := len(params)) > 1:
    print(n)
print(set([1, 2, 2]), {3, 1})
x = 1 << 3
print(x, x >> 1)
