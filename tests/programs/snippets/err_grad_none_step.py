import torch
w = torch.tensor(1.0, requires_grad=True)
v = w * 1.0
loss = (v - 3) ** 2
loss.backward()
v.data -= 0.1 * v.grad
