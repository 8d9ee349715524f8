import torch
import matplotlib.pyplot as plt
w = torch.tensor(0.0, requires_grad=True)
losses = []
for _ in range(3):
    loss = (w - 1) ** 2
    losses.append(loss.item())
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        w.grad.zero_()
fig, ax = plt.subplots(figsize=(6, 4))
ax.plot(losses, label='loss')
ax.set_xlabel('step')
plt.legend()
plt.show()
print(losses)
