import torch
import torch.nn.functional as F
g = torch.Generator().manual_seed(42)
n_embd, n_hidden, vocab_size = 4, 8, 5
x = torch.randn((6, n_embd), generator=g)
Yb = torch.tensor([0, 1, 2, 3, 4, 0])
W1 = torch.randn((n_embd, n_hidden), generator=g) * 0.3
b1 = torch.randn(n_hidden, generator=g) * 0.1
W2 = torch.randn((n_hidden, vocab_size), generator=g) * 0.1
parameters = [W1, b1, W2]
for p in parameters:
    p.requires_grad = True
def cmp(s, dt, t):
    ex = torch.all(dt == t.grad).item()
    app = torch.allclose(dt, t.grad)
    maxdiff = (dt - t.grad).abs().max().item()
    print(f'{s:15s} | exact: {str(ex):5s} | approximate: {str(app):5s} | maxdiff: {maxdiff < 1e-6}')
hpreact = x @ W1 + b1
h = torch.tanh(hpreact)
logits = h @ W2
logit_maxes = logits.max(1, keepdim=True).values
norm_logits = logits - logit_maxes # subtract max for numerical stability
counts = norm_logits.exp()
counts_sum = counts.sum(1, keepdims=True)
counts_sum_inv = counts_sum**-1
probs = counts * counts_sum_inv
logprobs = probs.log()
loss = -logprobs[range(6), Yb].mean()
for p in parameters:
    p.grad = None
for t in [logprobs, probs, counts, counts_sum, counts_sum_inv, norm_logits, logit_maxes, logits, h, hpreact]:
    t.retain_grad()
loss.backward()
dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(6), Yb] = -1.0/6
cmp('logprobs', dlogprobs, logprobs)
dprobs = (1.0 / probs) * dlogprobs
cmp('probs', dprobs, probs)
dlogits = F.softmax(logits, 1)
dlogits[range(6), Yb] -= 1
dlogits /= 6
cmp('logits', dlogits, logits)
