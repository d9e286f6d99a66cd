//! Our client against our server, and against servers that misbehave.

use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::adapters::functions::{Ending, Limits};
use crate::domain::package::external::{Answer, Failure};

const LIST: &str = "apiVersion: config.kubernetes.io/v1
kind: ResourceList
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
functionConfig: {apiVersion: v1, kind: ConfigMap, data: {namespace: core}}
";

/// A server of our own for as long as `during` takes.
fn beside(during: impl FnOnce(SocketAddr)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let server = runtime.spawn(serve(listener, async { drop(ended.await) }));
    during(address);
    end.send(()).unwrap();
    runtime.block_on(server).unwrap().unwrap();
}

fn asked(address: SocketAddr, image: &str, list: &str, limits: &Limits) -> Option<Result<Answer, Failure>> {
    run(&address.to_string(), image, list, (limits, &Ending::default()))
}

#[test]
fn the_built_in_functions_are_served() {
    beside(|address| {
        let limits = Limits::default();
        let answer = asked(address, "gcr.io/kpt-fn/set-namespace:v0.4", LIST, &limits).unwrap().unwrap();
        let text = String::from_utf8(answer.list).unwrap();
        assert!(text.contains("namespace: core") && text.contains("results:"), "{text}");
        assert!(asked(address, "gcr.io/elsewhere/f:v1", LIST, &limits).is_none(), "what is not built in is not found");
        let without = LIST.replace("namespace: core", "x: y");
        let failure = asked(address, "set-namespace", &without, &limits).unwrap().unwrap_err();
        assert!(failure.code == "fn.failed" && failure.message.contains("(Internal)"), "{failure}");
        let failure = asked(address, "set-namespace", "a: [", &limits).unwrap().unwrap_err();
        assert!(failure.message.contains("(InvalidArgument)"), "{failure}");
        let few = Limits { output: 20, ..Limits::default() };
        assert_eq!(asked(address, "set-namespace", LIST, &few).unwrap().unwrap_err().code, "fn.output_limit");
        let much = LIST.replace("{name: a}", &format!("{{name: {}}}", "a".repeat(MESSAGE)));
        assert_eq!(asked(address, "set-namespace", &much, &limits).unwrap().unwrap_err().code, "fn.output_limit");
    });
}

#[test]
fn a_runner_that_is_not_there_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = asked(address, "f", LIST, &Limits::default()).unwrap().unwrap_err();
    assert!(failure.code == "fn.no_runner" && failure.message.contains("--function-runner"), "{failure}");
    let failure = run("not an address", "f", LIST, (&Limits::default(), &Ending::default())).unwrap().unwrap_err();
    assert_eq!(failure.code, "fn.no_runner");
}

#[test]
fn a_runner_that_does_not_answer_is_left() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Reads all that comes, says nothing, ends when the client does.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
    let failure = asked(address, "f", LIST, &limits).unwrap().unwrap_err();
    assert_eq!(failure.code, "fn.timeout", "{failure}");
    server.join().unwrap();
}

#[test]
fn a_call_ends_with_this_process() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ending = Ending::default();
    let word = ending.clone();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        word.tell(15);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let failure = run(&address.to_string(), "f", LIST, (&Limits::default(), &ending)).unwrap().unwrap_err();
    assert_eq!(failure.code, "fn.stopped", "{failure}");
    server.join().unwrap();
}

/// The bytes of a message, written out by hand from the protocol: field 1 bytes, field 2 text.
#[test]
fn messages_are_those_of_the_protocol() {
    use prost::Message as _;
    let request = Request { resource_list: b"ab".to_vec(), image: "f".to_owned() };
    assert_eq!(request.encode_to_vec(), b"\x0a\x02ab\x12\x01f");
    let response = Response::decode(&b"\x0a\x01x\x12\x02hi"[..]).unwrap();
    assert_eq!((response.resource_list.as_slice(), response.log.as_slice()), (&b"x"[..], &b"hi"[..]));
}
