import torch
class LinearRegressor:
    def __init__(self, d):
        self.w = torch.zeros(d, 1, requires_grad=True)
        self.b = torch.zeros(1, requires_grad=True)

    def __call__(self, X):
        return X @ self.w + self.b

    def parameters(self):
        return [self.w, self.b]
torch.manual_seed(0)
m = LinearRegressor(2)
X = torch.randn(10, 2)
loss = ((m(X) - X.sum(1, keepdim=True)) ** 2).mean()
loss.backward()
print(m.w.grad)
print([p.shape for p in m.parameters()])
