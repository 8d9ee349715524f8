import torch
from torch import nn
torch.manual_seed(0)
X = torch.tensor([[0.,0.],[0.,1.],[1.,0.],[1.,1.]])
Y = torch.tensor([[0.],[1.],[1.],[0.]])
class XOR(nn.Module):
    def __init__(self, hidden=4):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 1), nn.Sigmoid())
    def forward(self, x):
        return self.net(x)
model = XOR()
opt = torch.optim.Adam(model.parameters(), lr=0.05)
lossf = nn.BCELoss()
for step in range(200):
    opt.zero_grad()
    out = model(X)
    loss = lossf(out, Y)
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, round(loss.item(), 4))
print((model(X) > 0.5).int().T)
for name, p in model.named_parameters():
    print(name, tuple(p.shape), p.grad.norm().item() > 0)
print(sum(p.numel() for p in model.parameters() if p.requires_grad))
