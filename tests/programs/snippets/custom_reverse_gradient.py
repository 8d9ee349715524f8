import torch
from torch.autograd import Function
class ReverseLayerF(Function):
    @staticmethod
    def forward(ctx, x, alpha):
        ctx.alpha = alpha
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        output = grad_output.neg() * ctx.alpha
        return output, None

x = torch.tensor([1., 2., 3.], requires_grad=True)
y = ReverseLayerF.apply(x, 0.1).sum()
y.backward()
print(x.grad)
