import torch
def total_loss(params, x):
    return sum((p * x).sum() for p in params)
params = [torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)]
loss = total_loss(params, torch.arange(2.))
loss.backward()
