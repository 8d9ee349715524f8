import torch
w = torch.tensor(2.0, requires_grad=True)
losses = []
for x in [1.0, 2.0, 3.0]:
    losses.append((w * x - 1) ** 2)
total = torch.tensor(losses).sum()
total.backward()
