import torch
w = torch.tensor(1.0, requires_grad=True)
for epoch in range(3):
    loss = (w * 2 - 3) ** 2
    loss.backward()
    w = w - 0.1 * w.grad
    print(w)
