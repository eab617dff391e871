# The whole project with its locked environment.
#   docker build --tag market-impact .
#   docker run --rm --volume "$PWD/from-docker:/out" market-impact
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /market-impact-notebooks
COPY . .
RUN make .venv/.ready
ENTRYPOINT [".venv/bin/market-impact", "run"]
CMD ["--due", "--out", "/out"]
