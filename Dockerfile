# The server in a container of its own.
#
#   docker build -t emofuse .
#   docker run --rm -p 8000:8000 -v emofuse:/data -e EMOFUSE_TOKEN=$(openssl rand -hex 24) emofuse
#
# One container is one server process with its own worker processes and its own /data;
# docs/api.md says how to have more of them.

ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-compile ".[web]"

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="emofuse" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --create-home emofuse \
    && install -d -o emofuse -g emofuse -m 0700 /data
COPY --from=build /venv /venv
ENV PATH="/venv/bin:$PATH" \
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
