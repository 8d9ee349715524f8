import torch
def batches(X, n):
    for i in range(0, len(X), n):
        yield X[i:i+n]
X = torch.arange(5.)
for b in batches(X, 2):
    print(b)
print(next(iter(batches(X, 3))))
