# One static executable and nothing else. Run it read-only and as the user that is set here:
#   docker run --read-only -v data:/data loggia controller --data-dir /data
FROM rust:1.95-alpine AS build
RUN apk add --no-cache musl-dev gcc make
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY schemas schemas
COPY benches benches
COPY examples-repo examples-repo
RUN cargo build --locked --profile dist --bin loggia \
 && mkdir -p /out/data && cp target/dist/loggia /out/loggia

FROM scratch
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/loggia /loggia
USER 65532:65532
VOLUME ["/data"]
ENTRYPOINT ["/loggia"]
