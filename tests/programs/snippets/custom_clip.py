import torch
class GradClip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, limit=1.0):
        ctx.limit = limit
        return x.view_as(x)
    @staticmethod
    def backward(ctx, g):
        return g.clamp(-ctx.limit, ctx.limit), None
w = torch.tensor([1., -2., 5.], requires_grad=True)
loss = (GradClip.apply(w, 0.5) ** 3).sum()
loss.backward()
print(w.grad)
