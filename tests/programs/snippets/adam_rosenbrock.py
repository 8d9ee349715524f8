import torch
xy = torch.tensor([-1.0, 2.0], requires_grad=True)
opt = torch.optim.Adam([xy], lr=0.1)
def rosenbrock(p):
    x, y = p
    return (1 - x) ** 2 + 100 * (y - x ** 2) ** 2
for i in range(5):
    opt.zero_grad()
    loss = rosenbrock(xy)
    loss.backward()
    opt.step()
    print(i, round(loss.item(), 4), [round(v, 4) for v in xy.tolist()])
