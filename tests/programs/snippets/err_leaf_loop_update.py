import torch
w = torch.randn(2, requires_grad=True)
x = torch.tensor([[1., 2.], [3., 4.]])
y = torch.tensor([1., 0.])
for epoch in range(5):
    loss = ((x @ w - y) ** 2).mean()
    loss.backward()
    w -= 0.1 * w.grad
    w.grad.zero_()
