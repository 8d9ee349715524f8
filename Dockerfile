# One file, four images: api (also conductor and migrate; no torch), worker (CPU; also relay), worker-gpu, mlflow.
# Wheels in an optional folder wheelhouse/ are preferred to the index; with all of them there, PIP_NO_INDEX=1 builds
# without network. PyPI's torch is the CUDA build: for a small worker image put PyTorch's CPU wheel there.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS wheelhouse
# A pattern may match nothing; COPY wants one file that is there.
COPY constraints.txt wheelhouse* /wheels/
FROM wheelhouse AS wheelhouse-gpu
RUN rm -f /wheels/torch-*+cpu*

# What each environment holds, in files of their own: it is rebuilt when its file changes, not with every edit.
FROM ${PYTHON_IMAGE} AS requirements
COPY pyproject.toml /src/
RUN ["python3", "-c", "import tomllib, pathlib\n\
project = tomllib.loads(pathlib.Path('/src/pyproject.toml').read_text())['project']\n\
extras = project['optional-dependencies']\n\
for name, lines in {\n\
    'core': project['dependencies'],\n\
    'api': extras['api'] + extras['cli'],\n\
    'worker': extras['worker'] + extras['relay'],\n\
    'worker-gpu': extras['worker'],\n\
    'mlflow': extras['mlflow'] + ['psycopg[binary]'],\n\
}.items():\n\
    pathlib.Path('/src', name + '.txt').write_text('\\n'.join(lines) + '\\n')"]

FROM ${PYTHON_IMAGE} AS wheel
ARG PIP_NO_INDEX
WORKDIR /src
ENV PIP_CACHE_DIR=/var/cache/pip
COPY pyproject.toml README.md ./
COPY shared shared
COPY services services
COPY workers workers
RUN --mount=type=bind,from=wheelhouse,source=/wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    pip wheel --no-deps --find-links /wheels --wheel-dir /dist .

# pip stays outside of the environment that it fills. Nothing is compiled, so the images grow out of one another.
FROM ${PYTHON_IMAGE} AS base
# Every stage below grows out of this one and so has the argument; one that does not would ask the index in vain.
ARG PIP_NO_INDEX
ENV PATH=/venv/bin:$PATH HOME=/tmp PIP_CACHE_DIR=/var/cache/pip PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A volume takes the owner of the folder that it is first mounted on.
RUN python3 -m venv --without-pip /venv && mkdir /store /mlflow && chown 10001:10001 /store /mlflow
WORKDIR /tmp

FROM base AS mlflow
RUN --mount=type=bind,from=wheelhouse,source=/wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,from=requirements,source=/src/mlflow.txt,target=/requirements.txt \
    pip --python /venv/bin/python install --find-links /wheels -c /wheels/constraints.txt -r /requirements.txt
USER 10001:10001
EXPOSE 5000
CMD ["mlflow", "server"]

FROM base AS core
RUN --mount=type=bind,from=wheelhouse,source=/wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,from=requirements,source=/src/core.txt,target=/requirements.txt \
    pip --python /venv/bin/python install --find-links /wheels -c /wheels/constraints.txt -r /requirements.txt

FROM core AS worker-gpu
# Triton builds its launcher with a C compiler at its first use; an image built without network goes without its kernels.
RUN [ -n "$PIP_NO_INDEX" ] || { apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*; }
RUN --mount=type=bind,from=wheelhouse-gpu,source=/wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,from=requirements,source=/src/worker-gpu.txt,target=/requirements.txt \
    pip --python /venv/bin/python install --find-links /wheels -c /wheels/constraints.txt -r /requirements.txt
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    pip --python /venv/bin/python install --no-cache-dir --no-deps --no-index /dist/*.whl
USER 10001:10001
CMD ["python", "-m", "gradline.worker.main", "--lane", "gpu"]

FROM core AS worker
RUN --mount=type=bind,from=wheelhouse,source=/wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,from=requirements,source=/src/worker.txt,target=/requirements.txt \
    pip --python /venv/bin/python install --find-links /wheels -c /wheels/constraints.txt -r /requirements.txt
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    pip --python /venv/bin/python install --no-cache-dir --no-deps --no-index /dist/*.whl
USER 10001:10001
CMD ["python", "-m", "gradline.worker.main", "--lane", "cpu"]

FROM core AS api
RUN --mount=type=bind,from=wheelhouse,source=/wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,from=requirements,source=/src/api.txt,target=/requirements.txt \
    pip --python /venv/bin/python install --find-links /wheels -c /wheels/constraints.txt -r /requirements.txt
RUN --mount=type=bind,from=wheel,source=/dist,target=/dist \
    pip --python /venv/bin/python install --no-cache-dir --no-deps --no-index /dist/*.whl
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "gradline.api.main"]
