# The image of every node: mvkt-ray, Ray and torch in the versions of constraints.txt.
#
#   docker build --target cpu --tag REGISTRY/mvkt-ray:VERSION .
#   docker build --target gpu --tag REGISTRY/mvkt-ray:VERSION-gpu .
#
# Driver and nodes must have the same versions, so build it from the checkout or the release that you launch with.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY mvkt_ray mvkt_ray
COPY search_spaces search_spaces
COPY cluster cluster
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .


FROM python:${PYTHON_VERSION}-slim-bookworm AS base
# Ray's launcher copies files into running containers by rsync, and its head reaches workers by ssh.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openssh-client rsync \
    && rm -rf /var/lib/apt/lists/*
# 1000 is the first user of the clouds' machines, too, so that what they mount can be read.
RUN useradd --uid 1000 --create-home --shell /bin/bash ray \
    && install --directory --owner=ray --group=ray --mode=700 /home/ray/.ray
# The launcher looks for HOME in the image. User installs are where its head gets the cloud's SDK. What begins with RAY_ is
# what mvkt_ray/on_ray/connecting/environment.py sets for a Ray of its own: workers read it where they start.
ENV HOME=/home/ray \
    PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin:/home/ray/.local/bin \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_CHDIR_TO_TRIAL_DIR=0 \
    RAY_TRAIN_HEALTH_CHECK_INTERVAL_S=0.2 \
    RAY_TRAIN_ENABLE_PREEMPTION_WATCHER=0 \
    RAY_task_oom_retries=3
COPY constraints.txt /opt/mvkt-ray/constraints.txt
COPY --from=wheel /wheels /opt/mvkt-ray/wheels


# Of a version that several indices have, pip takes the one with a local label: 2.13.0+cpu before 2.13.0.
FROM base AS cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --constraint /opt/mvkt-ray/constraints.txt --extra-index-url "${TORCH_INDEX}" \
    /opt/mvkt-ray/wheels/*.whl
USER 1000:1000
WORKDIR /home/ray
CMD ["mvkt", "--help"]


# On PyPI torch is built for a recent CUDA. For an older driver: --build-arg TORCH_INDEX=.../whl/cu126, for example.
FROM base AS gpu
ARG TORCH_INDEX=https://pypi.org/simple
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN pip install --no-cache-dir --constraint /opt/mvkt-ray/constraints.txt --extra-index-url "${TORCH_INDEX}" \
    /opt/mvkt-ray/wheels/*.whl
USER 1000:1000
WORKDIR /home/ray
CMD ["mvkt", "--help"]
