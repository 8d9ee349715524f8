import torch
import copy
x = torch.ones(2, requires_grad=True)
y = copy.deepcopy(x)
print(y)
z = copy.deepcopy(x * 2)
