import torch
a = torch.ones((1, ))
before = id(a)
print(before == id(a), a)
a = a + torch.ones((1, ))
print(before == id(a), a)
middle = id(a)
a += torch.ones((1, ))
print(middle == id(a), a)
