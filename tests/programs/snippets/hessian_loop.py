import torch

def f(x, y):
    return x ** 3 * y + torch.sin(y)

x = torch.tensor(2.0, requires_grad=True)
y = torch.tensor(0.5, requires_grad=True)
z = f(x, y)
grads = torch.autograd.grad(z, (x, y), create_graph=True)
H = torch.zeros(2, 2)
for i, g in enumerate(grads):
    row = torch.autograd.grad(g, [x, y], retain_graph=True)
    for j in range(2):
        H[i, j] = row[j]
print(H)
print("Hessian symmetric:", torch.allclose(H, H.T))
