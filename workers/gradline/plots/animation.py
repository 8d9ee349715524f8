"""The frames of a fit as one animated GIF."""

import io
from collections.abc import Iterable

from PIL import Image

from gradline.plots.style import N_COLOURS, Pixels

MAX_FRAMES = 100
"""A longer fit is shown at evenly spaced frames, the first and the last among them."""
FIRST_MS = 900
FRAME_MS = 220
LAST_MS = 2500
"""The last frame is held: it is the result."""


def spaced(n_frames: int) -> list[int]:
    """Indices of the frames that are shown."""
    if n_frames <= MAX_FRAMES:
        return list(range(n_frames))
    return [round(i * (n_frames - 1) / (MAX_FRAMES - 1)) for i in range(MAX_FRAMES)]


def gif_of(frames: Iterable[Pixels], last: Pixels, n_frames: int) -> bytes:
    """All frames under the palette of the last, so that nothing flickers."""
    palette = Image.fromarray(last).quantize(N_COLOURS, method=Image.Quantize.MEDIANCUT)
    images = (Image.fromarray(pixels).quantize(palette=palette, dither=Image.Dither.NONE) for pixels in frames)
    durations = [LAST_MS] if n_frames == 1 else [FIRST_MS, *[FRAME_MS] * (n_frames - 2), LAST_MS]
    buffer = io.BytesIO()
    next(images).save(
        buffer, format="gif", save_all=True, append_images=images, duration=durations, loop=0, optimize=False
    )
    return buffer.getvalue()
