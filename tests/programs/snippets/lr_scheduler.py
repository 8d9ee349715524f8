import torch
from torch.optim.lr_scheduler import StepLR, ExponentialLR
w = torch.tensor(5.0, requires_grad=True)
opt = torch.optim.SGD([w], lr=0.1)
sched = torch.optim.lr_scheduler.StepLR(opt, step_size=3, gamma=0.5)
for epoch in range(9):
    opt.zero_grad()
    loss = (w - 1) ** 2
    loss.backward()
    opt.step()
    sched.step()
    print(epoch, opt.param_groups[0]['lr'], sched.get_last_lr(), w.item())
