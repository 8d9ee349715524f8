import torch
import torch.nn as nn
def hook_fn(module, grad_input, grad_output):
    print(module)
    print("grad_output:", grad_output[0].shape)
net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))
for layer in net:
    layer.register_full_backward_hook(hook_fn)
net(torch.ones(2, 4)).sum().backward()
