import torch
x = torch.ones(1, 2, 3, requires_grad=True)
with torch.inference_mode():
    y = x * x
print(y.requires_grad)
print(y.is_inference())
@torch.inference_mode()
def func(x):
    return x * x
out = func(x)
print(out.requires_grad)
try:
    out + x
    z = (out * x).sum()
except RuntimeError as e:
    print(e)
