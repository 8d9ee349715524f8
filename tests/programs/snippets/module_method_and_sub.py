import torch
import torch.nn as nn
import torch.nn.functional as F
class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc = nn.Linear(dim, dim, bias=False)
        self.scale = nn.Parameter(torch.ones(1))
    def forward(self, x):
        return x + self.scale * F.gelu(self.fc(x))
class Net(nn.Module):
    def __init__(self, dim=4, depth=2):
        super().__init__()
        self.blocks = nn.ModuleList([Block(dim) for _ in range(depth)])
        self.head = nn.Linear(dim, 2)
        self.register_buffer('mean', torch.zeros(dim))
        self.apply(self._init_weights)
    def _init_weights(self, m):
        if isinstance(m, nn.Linear):
            nn.init.xavier_uniform_(m.weight)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
    def forward(self, x):
        x = x - self.mean
        for block in self.blocks:
            x = block(x)
        return self.head(x)
torch.manual_seed(0)
net = Net()
out = net(torch.randn(3, 4))
print(out)
F.cross_entropy(out, torch.tensor([0, 1, 0])).backward()
for n, p in net.named_parameters():
    print(n, p.shape, round(p.grad.norm().item(), 5))
print(net)
print(len(list(net.parameters())))
