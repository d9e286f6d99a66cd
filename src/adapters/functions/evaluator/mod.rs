//! Porch's function runner over gRPC: as a client of one, and our built-in functions as one.
//!
//! Source: the protocol of Porch's function runner, package `evaluator`, service `FunctionEvaluator`, with one unary
//! method; messages are plain bytes and texts, so that they are written down here and not generated. The transport is
//! not encrypted, as Porch's.

mod client;
mod health;
mod server;

pub(super) use client::run;
pub use server::serve;

/// The service.
const SERVICE: &str = "evaluator.FunctionEvaluator";
/// Its method.
const METHOD: &str = "/evaluator.FunctionEvaluator/EvaluateFunction";
/// Most bytes of a message. Porch's runner takes 6 MiB unless it is told otherwise.
const MESSAGE: usize = 64 << 20;

/// What is to be run on what.
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    /// A `ResourceList`.
    #[prost(bytes = "vec", tag = "1")]
    resource_list: Vec<u8>,
    /// The function.
    #[prost(string, tag = "2")]
    image: String,
}

/// What came of it.
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    /// A `ResourceList`.
    #[prost(bytes = "vec", tag = "1")]
    resource_list: Vec<u8>,
    /// The function's standard error.
    #[prost(bytes = "vec", tag = "2")]
    log: Vec<u8>,
}

#[cfg(test)]
mod tests;
