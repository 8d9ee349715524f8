import torch
import torch.nn as nn
import torch.optim as optim
def make_train_step(model, loss_fn, optimizer):
    # Builds function that performs a step in the train loop
    def train_step(x, y):
        model.train()
        yhat = model(x)
        loss = loss_fn(y, yhat)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()
    return train_step
torch.manual_seed(3)
x = torch.rand(20, 1); y = 3 * x - 1
model = nn.Sequential(nn.Linear(1, 1))
train_step = make_train_step(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1))
losses = []
for epoch in range(10):
    loss = train_step(x, y)
    losses.append(loss)
print(losses[0] > losses[-1], len(losses))
