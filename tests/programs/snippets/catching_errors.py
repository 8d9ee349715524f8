import torch
x = torch.tensor(2.0, requires_grad=True)
y = x ** 2
y.backward()
try:
    y.backward()
except RuntimeError as e:
    print("caught:", type(e).__name__, str(e)[:40])
finally:
    print("done")
try:
    x += 1
except (RuntimeError, ValueError) as error:
    print(f"{error}")
else:
    print("never")
