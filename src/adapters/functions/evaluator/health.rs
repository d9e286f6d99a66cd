//! Whether the server of functions serves, for those that ask as Kubernetes does.
//!
//! Source: `grpc.health.v1`; only `Check` is served, and the service as a whole or `FunctionEvaluator` may be asked
//! about.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic_prost::ProstCodec;
use tower::Service;

use super::SERVICE;

/// Its method.
const METHOD: &str = "/grpc.health.v1.Health/Check";
/// `SERVING`.
const SERVING: i32 = 1;

/// Which service is meant; empty for the server.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Question {
    #[prost(string, tag = "1")]
    service: String,
}

/// How it is.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Answer {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// The service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Health;

impl NamedService for Health {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl Service<http::Request<Body>> for Health {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != METHOD {
                return Ok(Status::unimplemented("there is one method: Check").into_http());
            }
            Ok(Grpc::new(ProstCodec::<Answer, Question>::default()).unary(Check, request).await)
        })
    }
}

/// The method.
struct Check;

impl UnaryService<Question> for Check {
    type Response = Answer;
    type Future = Ready<Result<tonic::Response<Answer>, Status>>;

    fn call(&mut self, request: tonic::Request<Question>) -> Self::Future {
        ready(match request.into_inner().service.as_str() {
            "" | SERVICE => Ok(tonic::Response::new(Answer { status: SERVING })),
            other => Err(Status::not_found(format!("there is no service {other}"))),
        })
    }
}
