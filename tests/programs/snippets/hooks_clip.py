import torch
import torch.nn as nn
model = nn.Linear(3, 1)
clip_value = 0.5
for p in model.parameters():
    p.register_hook(lambda grad: torch.clamp(grad, -clip_value, clip_value))
out = model(torch.tensor([[10., 20., -30.]]))
out.sum().backward()
print(model.weight.grad, model.bias.grad)
