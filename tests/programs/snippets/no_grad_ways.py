import torch
x = torch.tensor(1., requires_grad=True)
@torch.no_grad()
def doubler(x):
    return x * 2
z = doubler(x)
print(z.requires_grad)
with torch.no_grad():
    with torch.enable_grad():
        y = x * 2
print(y.requires_grad)
is_train = False
with torch.set_grad_enabled(is_train):
    y = x * 2
print(y.requires_grad)
torch.set_grad_enabled(True)
y = x * 2
print(y.requires_grad, torch.is_grad_enabled())
with torch.inference_mode():
    q = x * 3
print(q, q.requires_grad)
