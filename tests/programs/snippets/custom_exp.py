import torch
from torch.autograd import Function
class Exp(Function):
    @staticmethod
    def forward(ctx, i):
        result = i.exp()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, grad_output):
        result, = ctx.saved_tensors
        return grad_output * result

x = torch.randn(3, requires_grad=True)
output = Exp.apply(x)
output.sum().backward()
print(torch.allclose(x.grad, x.exp()))
