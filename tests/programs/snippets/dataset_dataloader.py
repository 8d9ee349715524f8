import torch
from torch.utils.data import Dataset, TensorDataset, DataLoader
class CustomDataset(Dataset):
    def __init__(self, x_tensor, y_tensor):
        self.x = x_tensor
        self.y = y_tensor
    def __getitem__(self, index):
        return (self.x[index], self.y[index])
    def __len__(self):
        return len(self.x)
x = torch.arange(6.).reshape(6, 1)
train_data = CustomDataset(x, 2 * x)
print(train_data[0])
train_data = TensorDataset(x, 2 * x)
print(train_data[0])
loader = DataLoader(dataset=train_data, batch_size=2, shuffle=False)
for xb, yb in loader:
    print(xb.flatten(), yb.flatten())
print(len(train_data), len(loader))
