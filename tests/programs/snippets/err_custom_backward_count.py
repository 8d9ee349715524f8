import torch
class Mul(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b
    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g * b
a = torch.tensor(2., requires_grad=True)
b = torch.tensor(3., requires_grad=True)
Mul.apply(a, b).backward()
