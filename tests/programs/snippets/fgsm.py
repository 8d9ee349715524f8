import torch
import torch.nn.functional as F
torch.manual_seed(1)
W = torch.randn(3, 4)
x = torch.randn(1, 4, requires_grad=True)
target = torch.tensor([2])
def fgsm_attack(image, epsilon, data_grad):
    sign_data_grad = data_grad.sign()
    perturbed_image = image + epsilon * sign_data_grad
    return torch.clamp(perturbed_image, 0, 1)
loss = F.cross_entropy(x @ W.t(), target)
loss.backward()
adv = fgsm_attack(x, 0.1, x.grad.data)
print(adv)
print(F.cross_entropy(adv @ W.t(), target) , loss)
