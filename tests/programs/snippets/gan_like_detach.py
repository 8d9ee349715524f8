import torch
from torch import nn
torch.manual_seed(0)
G = nn.Linear(1, 1)
D = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid())
bce = nn.BCELoss()
optD = torch.optim.Adam(D.parameters(), lr=1e-2, betas=(0.5, 0.999))
optG = torch.optim.Adam(G.parameters(), lr=1e-2, betas=(0.5, 0.999))
for i in range(3):
    z = torch.randn(8, 1)
    real = torch.randn(8, 1) + 3
    fake = G(z)
    optD.zero_grad()
    lossD = bce(D(real), torch.ones(8, 1)) + bce(D(fake.detach()), torch.zeros(8, 1))
    lossD.backward()
    optD.step()
    optG.zero_grad()
    lossG = bce(D(fake), torch.ones(8, 1))
    lossG.backward()
    optG.step()
    print(f"[{i}] D {lossD.item():.4f} G {lossG.item():.4f}")
