import torch
torch.manual_seed(0)
mu = torch.tensor([0.5, -0.5], requires_grad=True)
logvar = torch.tensor([0.0, 0.2], requires_grad=True)
def reparameterize(mu, logvar):
    std = torch.exp(0.5 * logvar)
    eps = torch.randn_like(std)
    return mu + eps * std
z = reparameterize(mu, logvar)
kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
((z ** 2).sum() + kl).backward()
print(mu.grad, logvar.grad)
