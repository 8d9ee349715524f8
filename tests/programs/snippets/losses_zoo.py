import torch
import torch.nn as nn
import torch.nn.functional as F
torch.manual_seed(0)
input = torch.randn(3, 5, requires_grad=True)
target = torch.empty(3, dtype=torch.long).random_(5)
output = nn.CrossEntropyLoss()(input, target)
output.backward()
print(input.grad)
