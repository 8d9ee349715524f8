"""What CUDA devices do otherwise: the loss and its gradient from a single read of the features, and features that stay
on the host."""
