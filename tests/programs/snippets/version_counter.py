import torch
x = torch.ones(3)
print(x._version)
x.add_(1)
x[0] = 5
x *= 2
print(x._version)
y = x[:2]
y.mul_(3)
print(x._version, y._version, y._base is x)
