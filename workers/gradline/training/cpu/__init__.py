"""What the CPU does otherwise: all derivatives of the loss from a single read of dense features."""
