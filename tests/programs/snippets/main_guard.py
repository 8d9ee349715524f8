import torch
def main():
    x = torch.tensor([1., 2.], requires_grad=True)
    (x ** 2).sum().backward()
    print(x.grad)
if __name__ == "__main__":
    main()
