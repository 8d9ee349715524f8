import torch
x = torch.tensor([1.], requires_grad=True)
print(x.grad)
(x * 0).backward()
print(x.grad)
x.grad = None
print(x.grad is None)
x.grad = torch.tensor([7.])
(x * 2).backward()
print(x.grad)
