import torch
import torch.nn as nn
model = nn.Sequential(
    nn.Linear(4, 8),
    nn.ReLU(),
    nn.Linear(10, 1),
)
x = torch.randn(2, 4)
loss = model(x).sum()
loss.backward()
