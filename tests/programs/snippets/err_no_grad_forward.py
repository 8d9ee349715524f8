import torch
import torch.nn as nn
net = nn.Linear(2, 1)
def evaluate(x):
    with torch.no_grad():
        return net(x).mean()
loss = evaluate(torch.ones(3, 2))
loss.backward()
