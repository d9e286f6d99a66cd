//! Metrics and probes over HTTP, on loopback unless told otherwise.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;

/// Serves `/metrics`, `/healthz` and `/readyz` until `stop`.
///
/// `ready` tells whether this replica makes progress: it leads, or somebody else does.
///
/// # Errors
/// The listener's own, when it breaks.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    ready: impl Fn() -> bool + Clone + Send + Sync + 'static,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let text = move || std::future::ready(metrics.text());
    let probe = move || {
        let answer = if ready() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") };
        std::future::ready(answer)
    };
    let router = Router::new()
        .route("/metrics", get(text))
        .route("/healthz", get(|| std::future::ready("ok\n")))
        .route("/readyz", get(probe));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
