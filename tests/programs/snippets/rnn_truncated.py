import torch
torch.manual_seed(0)
Wh = torch.randn(3, 3, requires_grad=True)
Wx = torch.randn(2, 3, requires_grad=True)
h = torch.zeros(1, 3)
seq = torch.randn(6, 1, 2)
total = 0
for t, x in enumerate(seq):
    h = torch.tanh(x @ Wx + h @ Wh)
    total = total + h.sum()
    if (t + 1) % 3 == 0:
        total.backward()
        print(t, Wh.grad.norm())
        h = h.detach()
        total = 0
