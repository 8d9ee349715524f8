import torch
x = torch.arange(6).reshape(2, 3)
w = torch.randn(3, 1, requires_grad=True)
y = x @ w
