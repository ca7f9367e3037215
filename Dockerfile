# syntax=docker/dockerfile:1
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
COPY requirements-build.lock requirements-fleet.lock ./
RUN python -m venv tools \
    && tools/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-build.lock \
    && python -m venv --without-pip /opt/answerback \
    && tools/bin/pip --python /opt/answerback/bin/python install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-fleet.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN tools/bin/pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir wheels . \
    && tools/bin/pip --python /opt/answerback/bin/python install --no-cache-dir --no-index --no-deps wheels/*.whl

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin answerback \
    && install --directory --owner answerback --mode 0700 /data
COPY --from=build /opt/answerback /opt/answerback
ENV PATH=/opt/answerback/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    APP_HOST=0.0.0.0 \
    DATABASE_URL=sqlite:////data/answerback.db \
    BENCHMARKS_DIR=/data/benchmarks
WORKDIR /data
VOLUME /data
USER 10001
EXPOSE 8080
# Liveness of the default command; a worker has no port (compose.yaml switches this off for it).
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('APP_PORT', '8080') + '/healthz', timeout=4)"]
ENTRYPOINT ["answerback"]
CMD ["serve"]
