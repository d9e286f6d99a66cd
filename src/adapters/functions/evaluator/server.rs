//! The built-in functions as a function runner.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use super::health::Health;
use super::{MESSAGE, METHOD, Request, Response, SERVICE};
use crate::domain::package::evaluate::{EvaluateError, evaluate};

/// How many functions run at once.
const AT_ONCE: usize = 4;
/// How many calls are taken at once, of all connections together: each may hold a message of the largest size. Others
/// wait, and their messages with who sends them.
const CALLS: usize = 32;
/// How long a call may wait and take.
const TIME: Duration = Duration::from_mins(5);

type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Serves the built-in functions until `end` is there.
///
/// # Errors
/// What the transport says.
pub async fn serve(listener: TcpListener, end: impl Future<Output = ()>) -> Result<(), tonic::transport::Error> {
    let evaluator = Evaluator::new(CALLS);
    Server::builder()
        .concurrency_limit_per_connection(CALLS)
        .timeout(TIME)
        .add_routes(Routes::new(evaluator).add_service(Health))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), end)
        .await
}

/// The service.
#[derive(Debug, Clone)]
struct Evaluator {
    /// For messages.
    calls: Arc<Semaphore>,
    /// For functions.
    places: Arc<Semaphore>,
}

impl Evaluator {
    fn new(calls: usize) -> Self {
        Self { calls: Arc::new(Semaphore::new(calls)), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl NamedService for Evaluator {
    const NAME: &'static str = SERVICE;
}

impl Service<http::Request<Body>> for Evaluator {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (method, calls) = (Evaluate { places: self.places.clone() }, self.calls.clone());
        Box::pin(async move {
            if request.uri().path() != METHOD {
                return Ok(Status::unimplemented("there is one method: EvaluateFunction").into_http());
            }
            // Nothing of the message is read before its turn comes.
            let _turn = match calls.acquire().await {
                Ok(turn) => turn,
                Err(error) => return Ok(Status::unavailable(error.to_string()).into_http()),
            };
            let codec = ProstCodec::<Response, Request>::default();
            let mut grpc = Grpc::new(codec).apply_max_message_size_config(Some(MESSAGE), Some(MESSAGE));
            Ok(grpc.unary(method, request).await)
        })
    }
}

/// The method.
struct Evaluate {
    places: Arc<Semaphore>,
}

impl UnaryService<Request> for Evaluate {
    type Response = Response;
    type Future = Boxed<tonic::Response<Response>, Status>;

    fn call(&mut self, request: tonic::Request<Request>) -> Self::Future {
        let places = self.places.clone();
        Box::pin(async move {
            let place = places.acquire_owned().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let request = request.into_inner();
            let ran = tokio::task::spawn_blocking(move || {
                let answer = evaluate(&request.image, &request.resource_list);
                drop(place);
                answer
            });
            let answer =
                ran.await.map_err(|error| Status::internal(error.to_string()))?.map_err(|error| status(&error))?;
            let (resource_list, log) = (answer.list.into_bytes(), answer.log.into_bytes());
            Ok(tonic::Response::new(Response { resource_list, log }))
        })
    }
}

fn status(error: &EvaluateError) -> Status {
    let (code, log) = match error {
        EvaluateError::NotFound { .. } => (Code::NotFound, ""),
        EvaluateError::Unreadable(_) => (Code::InvalidArgument, ""),
        EvaluateError::Failed { log, .. } => (Code::Internal, log.as_str()),
        EvaluateError::Unwritable(_) => (Code::Internal, ""),
    };
    Status::new(code, format!("{log}{error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A message that says when it is asked for.
    struct Message(Arc<AtomicUsize>);

    impl http_body::Body for Message {
        type Data = bytes::Bytes;
        type Error = Status;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Status>>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Poll::Pending
        }
    }

    #[test]
    fn messages_are_read_when_their_turn_comes() {
        let mut evaluator = Evaluator::new(2);
        let asked: Vec<Arc<AtomicUsize>> = (0..4).map(|_| Arc::default()).collect();
        let call = |asked: &Arc<AtomicUsize>| {
            let request = http::Request::post(METHOD).header("content-type", "application/grpc");
            evaluator.call(request.body(Body::new(Message(asked.clone()))).unwrap())
        };
        let mut calls: Vec<_> = asked.iter().map(call).collect();
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut poll = |calls: &mut Vec<Boxed<_, _>>| {
            for call in calls {
                assert!(call.as_mut().poll(&mut context).is_pending());
            }
        };
        let read = || asked.iter().map(|asked| asked.load(Ordering::SeqCst) > 0).collect::<Vec<_>>();
        poll(&mut calls);
        assert_eq!(read(), [true, true, false, false]);
        drop(calls.remove(0));
        poll(&mut calls);
        assert_eq!(read(), [true, true, true, false]);
    }
}
