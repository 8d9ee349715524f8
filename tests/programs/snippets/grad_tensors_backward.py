import torch
w = torch.tensor([1.], requires_grad=True)
x = torch.tensor([2.], requires_grad=True)
a, b = w + x, w + 1
y0, y1 = a * b, a + b
torch.autograd.backward([y0, y1], grad_tensors=[torch.tensor([1.]), torch.tensor([2.])])
print(w.grad, x.grad)
