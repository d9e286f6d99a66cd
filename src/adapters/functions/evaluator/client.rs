//! A function runner that is reached over gRPC.

use std::time::Duration;

use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::{MESSAGE, METHOD, Request, Response};
use crate::adapters::functions::{Ending, Limits};
use crate::domain::package::external::{Answer, Failure};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How often it is looked whether this process is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Asks the runner at an address, `host:port` or `http://host:port`, to run an image on a list.
///
/// `None` when it does not have that function.
pub(in crate::adapters::functions) fn run(
    address: &str,
    image: &str,
    list: &str,
    (limits, ending): (&Limits, &Ending),
) -> Option<Result<Answer, Failure>> {
    // Told here: the connection would only say that it broke.
    if list.len() >= MESSAGE {
        let message = format!("{image}: its input has {} bytes, more than the {MESSAGE} of a message", list.len());
        return Some(Err(Failure::new("fn.output_limit", message)));
    }
    let request = Request { resource_list: list.as_bytes().to_vec(), image: image.to_owned() };
    let (asked, limits, end) = (address.to_owned(), *limits, ending.clone());
    // A thread of its own: the one that calls may belong to a runtime, which must not wait inside itself.
    let called = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| Status::internal(error.to_string()))?.block_on(async {
            tokio::select! {
                answer = ask(&asked, request, limits) => answer,
                () = told(&end) => Err(Status::aborted("loggia was told to end")),
            }
        })
    });
    let answered = called.join().unwrap_or_else(|_| Err(Status::internal("the call ended unexpectedly")));
    match answered {
        Ok(answer) => {
            let stderr = String::from_utf8_lossy(&answer.log).into_owned();
            Some(Ok(Answer { list: answer.resource_list, stderr, ..Answer::default() }))
        }
        Err(status) if status.code() == Code::NotFound => None,
        Err(_) if ending.told().is_some() => Some(Err(Ending::stopped(super::super::IT))),
        Err(status) => Some(Err(failure(address, image, &status, &limits))),
    }
}

/// Until this process is to end.
async fn told(ending: &Ending) {
    while ending.told().is_none() {
        tokio::time::sleep(LOOK).await;
    }
}

async fn ask(address: &str, request: Request, limits: Limits) -> Result<Response, Status> {
    let call = async {
        let mut grpc = Grpc::new(connect(address).await?)
            .max_decoding_message_size(usize::try_from(limits.output).unwrap_or(MESSAGE).min(MESSAGE))
            .max_encoding_message_size(MESSAGE);
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = tonic::Request::new(request);
        request.set_timeout(limits.time);
        let path = PathAndQuery::from_static(METHOD);
        grpc.unary(request, path, ProstCodec::<Request, Response>::default()).await.map(tonic::Response::into_inner)
    };
    let late = |_| Status::deadline_exceeded("no answer in time");
    tokio::time::timeout(limits.time, call).await.map_err(late)?
}

async fn connect(address: &str) -> Result<Channel, Status> {
    let whole = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let endpoint = Endpoint::from_shared(whole).map_err(|error| Status::unavailable(error.to_string()))?;
    let connected = endpoint.connect_timeout(CONNECT).connect().await;
    connected.map_err(|error| Status::unavailable(chain(&error)))
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn failure(address: &str, image: &str, status: &Status, limits: &Limits) -> Failure {
    let said = status.message();
    match status.code() {
        Code::Unavailable => Failure::new(
            "fn.no_runner",
            format!(
                "{image} is not built in, and the function runner at {address} cannot be reached: {said}; start one, \
                 or leave out --function-runner to run functions in containers"
            ),
        ),
        Code::DeadlineExceeded | Code::Cancelled => {
            let message =
                format!("{image} was stopped: the function runner at {address} took longer than {:?}", limits.time);
            Failure::new("fn.timeout", message)
        }
        Code::OutOfRange | Code::ResourceExhausted => {
            let message =
                format!("{image}: the message is too large for us or for the function runner at {address}: {said}");
            Failure::new("fn.output_limit", message)
        }
        code => {
            let message = format!("{image} failed in the function runner at {address} ({code:?}): {said}");
            Failure { stderr: said.to_owned(), ..Failure::new("fn.failed", message) }
        }
    }
}
