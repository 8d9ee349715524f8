import torch
batched_dot = torch.func.vmap(torch.dot)  # [N, D], [N, D] -> [N]
x, y = torch.randn(2, 5), torch.randn(2, 5)
print(batched_dot(x, y))
print(torch.vmap(torch.dot, in_dims=(0, None))(x, y[0]))
