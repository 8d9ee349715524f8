import torch
torch.manual_seed(10)
sample_nums = 100
mean_value = 1.7
bias = 1
n_data = torch.ones(sample_nums, 2)
x0 = torch.normal(mean_value * n_data, 1) + bias
y0 = torch.zeros(sample_nums)
x1 = torch.normal(-mean_value * n_data, 1) + bias
y1 = torch.ones(sample_nums)
train_x = torch.cat((x0, x1), 0)
train_y = torch.cat((y0, y1), 0)

W = torch.zeros(2, 1, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
lr = 0.1
for iteration in range(5):
    y_pred = torch.sigmoid(train_x @ W + b)
    loss = -(train_y * torch.log(y_pred.squeeze()) + (1 - train_y) * torch.log(1 - y_pred.squeeze())).mean()
    loss.backward()
    with torch.no_grad():
        W -= lr * W.grad
        b -= lr * b.grad
    W.grad.zero_()
    b.grad.zero_()
    mask = y_pred.ge(0.5).float().squeeze()
    correct = (mask == train_y).sum()
    acc = correct.item() / train_y.size(0)
    print("Iteration: {:3d}, loss: {:.4f}, acc: {:.2%}".format(iteration, loss.item(), acc))
