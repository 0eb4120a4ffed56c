# The server in a container of its own, on a root that cannot be written.
#
#   docker build -t emofuse .
#   docker run --rm -p 8000:8000 -v emofuse:/data -e EMOFUSE_TOKEN=$(openssl rand -hex 24) \
#     --read-only --tmpfs /tmp:size=3g --cap-drop ALL --security-opt no-new-privileges emofuse
#
# One container is one server process with its own worker processes and its own /data;
# docs/api.md says how to have more of them. /tmp has to have room for the uploads that are
# being received. Everything is installed at pinned versions, by hash; `make image-base` moves the
# digest of the base to the newest image of its tag.

ARG BASE=python:3.12-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

FROM ${BASE} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/server.txt requirements/build.txt requirements/
RUN python -m venv /build && /build/bin/pip install --require-hashes -r requirements/build.txt \
    && python -m venv /venv && /venv/bin/pip install --require-hashes -r requirements/server.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY configs ./configs
COPY src ./src
RUN /build/bin/pip wheel --no-build-isolation --no-deps --wheel-dir /wheels . \
    && /venv/bin/pip install --no-deps --no-index /wheels/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="emofuse" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --no-create-home emofuse \
    && install -d -o emofuse -g emofuse -m 0700 /data
COPY --from=build /venv /venv
ENV PATH="/venv/bin:$PATH" \
    HOME=/data \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    EMOFUSE_HOST=0.0.0.0 \
    EMOFUSE_PORT=8000 \
    EMOFUSE_STATE=/data/jobs \
    EMOFUSE_CACHE=/data/cache
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v1/health', timeout=4)"]
ENTRYPOINT ["emofuse"]
CMD ["serve"]
