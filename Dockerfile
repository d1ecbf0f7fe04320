# docker build -t hullmark .                                     a static binary on an empty image
# docker run --rm hullmark demo                                  see it work; needs nothing
# docker run -v ./policies:/policies:ro -p 8443:8443 hullmark    the webhook
#
# scripts/image builds and tries this file, also where there is no container engine.

# Keep in sync with rust-version in Cargo.toml. Debian 12 is what the tests run on.
ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-bookworm AS build
# Empty: static against Debian's glibc, for the platform that builds. Or a musl target, such as
# x86_64-unknown-linux-musl; its standard library and musl-gcc are then installed first.
ARG TARGET=""
WORKDIR /src
RUN set -eu; \
    target="${TARGET:-$(rustc -vV | sed -n 's/^host: //p')}"; \
    echo "$target" > /target; \
    case "$target" in *-musl) \
        rustup target add "$target"; \
        apt-get update; \
        apt-get install -y --no-install-recommends musl-tools; \
        rm -rf /var/lib/apt/lists/* ;; \
    esac
ENV RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR=/build

# The dependencies alone, built behind an empty crate: this layer lasts until Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --locked --release --target "$(cat /target)"

# Our own code, from the crates fetched above. The touch tells cargo that the empty crate has gone,
# whatever the age of the files that were copied.
COPY . .
ARG REVISION=unknown
RUN touch src/main.rs src/lib.rs \
    && HULLMARK_REVISION="${REVISION}" cargo build --locked --offline --release --target "$(cat /target)" --bin hullmark \
    && mkdir /out \
    && cp "/build/$(cat /target)/release/hullmark" /out/hullmark

FROM scratch
# The authorities that sign public registries' certificates.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY LICENSE /LICENSE
COPY --from=build /out/hullmark /hullmark

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="hullmark" \
      org.opencontainers.image.description="Judges Pods by the configuration inside their container images, without pulling them" \
      org.opencontainers.image.source="https://github.com/hullmark/hullmark" \
      org.opencontainers.image.documentation="https://github.com/hullmark/hullmark#readme" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The Hullmark authors" \
      team="hullmark" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# A number, so that the kubelet can prove that it is not root (runAsNonRoot).
USER 65532:65532
# 8443: the webhook (HTTPS). 8080: /livez, /readyz, /metrics.
EXPOSE 8443/tcp 8080/tcp
# Not ready, drain, finish, exit.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/hullmark"]
CMD ["serve", "--policies", "/policies"]
