# syntax=docker/dockerfile:1
# Targets: web (also CPU workers, scheduler and one-shot commands) and worker-gpu.
# Neither holds model weights, secrets or test tools.
FROM python:3.11.14-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/venv/bin:$PATH \
    DJANGO_SETTINGS_MODULE=facefusion_site.settings.prod \
    MEDIA_ROOT=/srv/facefusion/media \
    MODELS_DIR=/srv/facefusion/models \
    STATIC_ROOT=/srv/facefusion/staticfiles
# Named volumes take owner and mode from these folders when they are first mounted.
RUN groupadd --gid 10001 facefusion \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin facefusion \
    && install -d -o 10001 -g 10001 -m 0750 /srv/facefusion/media /srv/facefusion/models /srv/facefusion/signer
WORKDIR /app

FROM base AS installer
COPY requirements-uv.txt ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements-uv.txt \
    && python -m venv --without-pip /opt/venv

FROM installer AS venv-cpu
COPY requirements.txt ./
RUN /usr/local/bin/uv pip sync --no-cache --require-hashes --compile-bytecode \
    --python /opt/venv/bin/python requirements.txt

FROM installer AS venv-gpu
COPY requirements-gpu.txt ./
RUN /usr/local/bin/uv pip sync --no-cache --require-hashes --compile-bytecode \
    --python /opt/venv/bin/python requirements-gpu.txt

FROM base AS source
COPY manage.py gunicorn.conf.py requirements-models.txt ./
COPY facefusion_site ./facefusion_site
COPY accounts ./accounts
COPY tokens ./tokens
COPY trust ./trust
COPY inference ./inference
COPY promotions ./promotions
COPY productions ./productions
COPY locale ./locale
COPY static ./static
COPY templates ./templates
# What `manage.py bench_engine` measures with.
COPY benchmarks/__init__.py benchmarks/reporting.py ./benchmarks/
COPY benchmarks/engine ./benchmarks/engine
COPY benchmarks/stand_ins ./benchmarks/stand_ins
COPY samples ./samples

FROM source AS web
COPY --from=venv-cpu /opt/venv /opt/venv
# Collecting files needs no server and no real secret: these values end with the command.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    API_KEY_PEPPER="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    LEDGER_STATEMENT_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    FACTOR_SECRET_KEYS="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    PUBLIC_URL=https://build.invalid ALLOWED_HOSTS=build.invalid \
    DATABASE_URL=postgres://build.invalid/none REDIS_URL=redis://build.invalid/0 \
    python manage.py collectstatic --no-input --verbosity 0
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "facefusion_site.wsgi:application"]

FROM source AS worker-gpu
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    ORT_PROVIDERS=CUDAExecutionProvider
# CUDA and cuDNN come from the Python list; the host brings the driver through its container runtime.
COPY --from=venv-gpu /opt/venv /opt/venv
USER 10001:10001
# One process without a fork: CUDA does not survive one. A running job delays the answer.
HEALTHCHECK --interval=60s --timeout=50s --start-period=60s --retries=5 \
    CMD ["sh", "-c", "celery --app facefusion_site inspect ping --timeout 40 --destination \"gpu@$(hostname)\""]
CMD ["sh", "-c", "exec celery --app facefusion_site worker --pool solo --queues swaps --hostname \"gpu@$(hostname)\" --loglevel INFO"]
