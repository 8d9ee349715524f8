import torch
import torch.nn as nn
activation = {}
def get_activation(name):
    def hook(model, input, output):
        activation[name] = output.detach()
    return hook
model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
handle = model[0].register_forward_hook(get_activation('fc1'))
x = torch.randn(1, 4)
output = model(x)
print(activation['fc1'])
handle.remove()
