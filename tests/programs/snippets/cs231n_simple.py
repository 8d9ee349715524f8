import torch
# simple expression f(x,y,z) = (x + y) * z
x = torch.tensor(-2., requires_grad=True); y = torch.tensor(5., requires_grad=True); z = torch.tensor(-4., requires_grad=True)
q = x + y # q becomes 3
q.retain_grad()
f = q * z # f becomes -12
f.backward()
print("dfdx", x.grad, "dfdy", y.grad, "dfdz", z.grad, "dfdq", q.grad)
