import torch
class MulConstant(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor, constant):
        ctx.set_materialize_grads(False)
        ctx.constant = constant
        return tensor * constant
    @staticmethod
    def backward(ctx, grad_output):
        if grad_output is None:
            return None, None
        return grad_output * ctx.constant, None
x = torch.tensor([1.0, 2.0], requires_grad=True)
MulConstant.apply(x, 3).sum().backward()
print(x.grad)
