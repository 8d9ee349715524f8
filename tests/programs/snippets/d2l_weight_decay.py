import torch
w = torch.normal(0, 1, size=(20, 1), requires_grad=True)
def l2_penalty(w):
    return torch.sum(w.pow(2)) / 2
l = l2_penalty(w)
l.backward()
print(torch.equal(w.grad, w))
print('L2 norm of w:', torch.norm(w).item())
