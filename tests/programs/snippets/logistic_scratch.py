import torch
torch.manual_seed(42)
n, d = 100, 2
X = torch.cat([torch.randn(n // 2, d) + 1.5, torch.randn(n // 2, d) - 1.5])
y = torch.cat([torch.ones(n // 2), torch.zeros(n // 2)])
perm = torch.randperm(n)
X, y = X[perm], y[perm]
w = torch.zeros(d, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
lr = 0.5
def sigmoid(z):
    return 1 / (1 + torch.exp(-z))
def bce(p, y, eps=1e-7):
    return -(y * torch.log(p + eps) + (1 - y) * torch.log(1 - p + eps)).mean()
history = []
for epoch in range(50):
    p = sigmoid(X @ w + b)
    loss = bce(p, y)
    loss.backward()
    with torch.no_grad():
        for param in (w, b):
            param.sub_(lr * param.grad)
            param.grad.zero_()
    history.append(loss.item())
    if epoch % 10 == 0 or epoch == 49:
        acc = ((p > 0.5).float() == y).float().mean()
        print(f"{epoch:>3d} | loss {loss.item():.4f} | acc {acc:.2%}")
print(w.detach().numpy(), b.item())
print(min(history) == history[-1])
