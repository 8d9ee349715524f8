>>> import torch
>>> x = torch.tensor([1., 2., 3.], requires_grad=True)
>>> y = x.pow(2).sum()
>>> y
tensor(14., grad_fn=<SumBackward0>)
>>> y.backward()
>>> x.grad
tensor([2., 4., 6.])
>>> for i in range(2):
...     print(i, x[i])
...
0 tensor(1., grad_fn=<SelectBackward0>)
1 tensor(2., grad_fn=<SelectBackward0>)
>>> x.shape, x.dtype
(torch.Size([3]), torch.float32)
>>> y.item()
14.0
