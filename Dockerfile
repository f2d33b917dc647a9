# The programs in a small image that runs as nobody in particular. docs/deployment.md says how to use it.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates npm && rm -rf /var/lib/apt/lists/*
COPY . /source
WORKDIR /source
ENV CLUSTER_BUILD_DIR=/build
RUN scripts/build -DCLUSTER_BUILD_TESTS=OFF && cd /build && cpack -G DEB && mv packages/cluster-node_*.deb /cluster-node.deb

FROM debian:12-slim
COPY --from=build /cluster-node.deb /tmp/
RUN apt-get update \
 && apt-get install -y --no-install-recommends /tmp/cluster-node.deb \
 && rm -rf /var/lib/apt/lists/* /tmp/cluster-node.deb \
 && groupadd --gid 10001 cluster \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin cluster \
 && install -d -o cluster -g cluster -m 0700 /var/lib/cluster
COPY --chmod=0755 deploy/docker/entrypoint /usr/local/bin/entrypoint
ENV CLUSTER_BIND=0.0.0.0 \
    CLUSTER_DATA_DIR=/var/lib/cluster/node
USER 10001:10001
VOLUME /var/lib/cluster
EXPOSE 7022 8022
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["cluster-cli", "--host", "localhost", "--timeout", "4", "ping"]
ENTRYPOINT ["entrypoint"]
