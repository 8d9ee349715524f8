import torch
import torch.nn as nn
import torch.optim as optim
class ManualLinearRegression(nn.Module):
    def __init__(self):
        super().__init__()
        # To make "a" and "b" real parameters of the model, we need to wrap them with nn.Parameter
        self.a = nn.Parameter(torch.randn(1, requires_grad=True, dtype=torch.float))
        self.b = nn.Parameter(torch.randn(1, requires_grad=True, dtype=torch.float))
    def forward(self, x):
        # Computes the outputs / predictions
        return self.a + self.b * x
torch.manual_seed(42)
model = ManualLinearRegression().to('cpu')
print(model.state_dict())
x = torch.rand(80, 1)
y = 1 + 2 * x
loss_fn = nn.MSELoss(reduction='mean')
optimizer = optim.SGD(model.parameters(), lr=1e-1)
for epoch in range(50):
    model.train()
    yhat = model(x)
    loss = loss_fn(y, yhat)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print(model.state_dict())
