import torch
w = torch.tensor(5.0, requires_grad=True)
lr = 0.2
for epoch in range(10):
    loss = (w - 1) ** 2
    loss.backward()
    with torch.no_grad():
        w -= lr * w.grad
    w.grad = None
    if epoch % 3 == 2:
        lr *= 0.5
        print("epoch %d: lr %.4f, w %.5f" % (epoch, lr, w.item()))
