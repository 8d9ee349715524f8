import torch
x = torch.tensor([1.0, 2.0], requires_grad=True)
y = x[0]**3 * x[1] + torch.exp(x[1])
grad = torch.autograd.grad(y, x, create_graph=True)[0]
H = torch.zeros(2, 2)
for i in range(2):
    H[i] = torch.autograd.grad(grad[i], x, retain_graph=True)[0]
print(H)
print(torch.det(H), H.trace(), torch.linalg.eigvalsh(H))
