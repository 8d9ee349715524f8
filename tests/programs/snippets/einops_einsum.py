import torch
A = torch.randn(2, 3, requires_grad=True)
B = torch.randn(3, 4, requires_grad=True)
C = torch.einsum('ij,jk->ik', A, B)
C.sum().backward()
print(torch.allclose(A.grad, B.detach().sum(1).expand(2, 3)))
print(torch.einsum('ii', torch.eye(3)), torch.einsum('i,j->ij', torch.arange(3.), torch.arange(2.)))
