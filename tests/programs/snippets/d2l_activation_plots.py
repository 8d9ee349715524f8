import torch
x = torch.arange(-8.0, 8.0, 1.0, requires_grad=True)
y = torch.relu(x)
y.backward(torch.ones_like(x), retain_graph=True)
print(x.grad)
y = torch.sigmoid(x)
# Clear out previous gradients
x.grad.data.zero_()
y.backward(torch.ones_like(x),retain_graph=True)
print(x.grad)
y = torch.tanh(x)
x.grad.data.zero_()
y.backward(torch.ones_like(x),retain_graph=True)
print(x.grad)
