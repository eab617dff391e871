# The whole project with its locked environment. A run writes to /out and to the system's folder for scratch files alone.
#   docker build --tag market-impact:0.1.0 .
#   mkdir -p out && docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD/out:/out" market-impact:0.1.0
# The digest is that of this tag in the record of the official images, github.com/docker-library/repo-info.
FROM python:3.11.15-slim-trixie@sha256:90744cff8f32887f075c47d747a173ff333e9e98801667af93c357fa9f5e28ff
# The project is root's, so that no run changes it. Git reads the history of another user's files only if it is told to.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory /market-impact-notebooks \
    && install --directory --owner=1000 --group=1000 /out
WORKDIR /market-impact-notebooks
COPY . .
RUN make .venv/.ready
USER 1000:1000
ENTRYPOINT [".venv/bin/market-impact", "run"]
CMD ["--due", "--out", "/out"]
