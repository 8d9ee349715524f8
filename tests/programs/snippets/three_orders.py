import torch
x = torch.tensor([3.], requires_grad=True)
y = torch.pow(x, 2)     # y = x**2

grad_1 = torch.autograd.grad(y, x, create_graph=True)   # grad_1 = dy/dx = 2x = 2 * 3 = 6
print(grad_1)
print(type(grad_1))

grad_2 = torch.autograd.grad(grad_1[0], x, create_graph=True)
print(grad_2)
grad_3 = torch.autograd.grad(grad_2[0], x)
print(grad_3)
