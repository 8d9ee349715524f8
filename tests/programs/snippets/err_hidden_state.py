import torch
rnn_w = torch.randn(2, 2, requires_grad=True)
h = torch.zeros(2)
for t in range(3):
    h = torch.tanh(rnn_w @ h + 1)
    loss = h.sum()
    loss.backward()
    print(t)
