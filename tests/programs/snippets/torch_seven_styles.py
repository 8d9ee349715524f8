import torch
x = torch.tensor([[1., 2.], [3., 4.]], requires_grad=True)
# all of these are the same thing
y = x.mm(x).mul(2).add(1).sub_(0.5).div(2)
y = torch.div(y, 2) if y.sum() > 0 else y
y[0].sum().backward()
print(x.grad, x.grad.T, x.numel(), x.dim(), x.size(), x.size(0), list(x.shape), sep="\n")
print("%s has %d elements, mean %.3f" % ("x", x.numel(), x.mean()))
values, indices = x.max(dim=1)
print(values, indices, x.argmax())
print(sum(p.sum() for p in [x, x]), max(3, 4), abs(-2), len(x), round(2.567, 1))
print(["%d" % i for i in range(3)], {"a": 1}, (1,), "=" * 10, 'a' in 'abc', not x.requires_grad)
