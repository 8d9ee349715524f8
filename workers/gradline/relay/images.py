"""Files as MLflow's image grid reads them: step, time and key are in the name, a small copy for lists beside it.

The key says where the picture stands: with a step slider, in the section of the curves. `~` is MLflow's slash.

`MlflowClient.log_image` writes the same two files under a random name, so that an upload that is tried again would show
every image twice. These names depend on the job and the image alone: trying again overwrites.
"""

import io
import re
from pathlib import Path
from uuid import UUID, uuid5

from PIL import Image

from gradline.db.records import Artifact
from gradline.relay.content import CURVES, milliseconds

FOLDER = "images"


def write_image(folder: Path, job_id: UUID, artifact: Artifact, png: bytes) -> None:
    """Put the two files of one image into `folder`."""
    stem = _stem(job_id, artifact)
    (folder / f"{stem}.png").write_bytes(png)
    small = io.BytesIO()
    # Full size: at MLflow's own 256 pixels the numbers in the title could not be read.
    Image.open(io.BytesIO(png)).convert("RGB").save(small, format="webp", quality=80, method=0)
    (folder / f"{stem}+compressed.webp").write_bytes(small.getvalue())


def _stem(job_id: UUID, artifact: Artifact) -> str:
    key = f"{CURVES}/" + re.sub(r"/?step-\d+$", "", artifact.name.rsplit(".", 1)[0])
    at_ms = 0 if artifact.created_at is None else milliseconds(artifact.created_at)
    return f"{key.replace('/', '~')}+step+{artifact.step or 0}+timestamp+{at_ms}+{uuid5(job_id, artifact.name)}"
