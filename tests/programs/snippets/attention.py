import torch, math
import torch.nn.functional as F
torch.manual_seed(0)
def attention(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
    if mask is not None:
        scores = scores.masked_fill(mask == 0, float('-inf'))
    return F.softmax(scores, dim=-1) @ v
q, k, v = (torch.randn(1, 4, 8, requires_grad=True) for _ in range(3))
mask = torch.tril(torch.ones(4, 4))
out = attention(q, k, v, mask)
out.sum().backward()
print(q.grad.norm(), k.grad.norm(), v.grad.sum())
