import torch
import torch.nn as nn
torch.manual_seed(0)
model = nn.Linear(10, 1)
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = [(torch.randn(4, 10), torch.randn(4, 1)) for _ in range(8)]
accumulation_steps = 4
optimizer.zero_grad()
for i, (inputs, targets) in enumerate(data):
    outputs = model(inputs)
    loss = criterion(outputs, targets)
    loss = loss / accumulation_steps
    loss.backward()
    if (i + 1) % accumulation_steps == 0:
        optimizer.step()
        optimizer.zero_grad()
        print(f"step {i+1}: loss={loss.item() * accumulation_steps:.6f}")
