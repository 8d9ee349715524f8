"""Two Gaussian clouds, drawn as the notes' script draws them."""

import torch

from gradline.data.sample import Roles, Sample, sample_of_numbers
from gradline.specs.logistic_regression import Blobs


def draw_blobs(spec: Blobs, dtype: torch.dtype, job_stream: torch.Generator) -> Sample:
    """Class 0 around +mean + bias, then class 1 around -mean + bias, from the job's stream unless they have a seed."""
    generator = job_stream if spec.seed is None else torch.Generator().manual_seed(spec.seed)
    centre_n2 = torch.full((spec.samples_per_class, 2), spec.mean, dtype=dtype)
    clouds = [torch.normal(sign * centre_n2, 1, generator=generator) + spec.bias for sign in (1, -1)]
    class_n = torch.arange(2).repeat_interleave(spec.samples_per_class)
    title = f"two clouds of {spec.samples_per_class} points"
    return sample_of_numbers(title, ["x1", "x2"], torch.cat(clouds), Roles(class_n, [0, 1]))
