//! Sessions: whose they are, and that nobody waits for another one's.

use std::future::pending;
use std::time::Duration;

use tokio::sync::Notify;
use tower::{Service as _, service_fn};

use super::testing::{engine, server, target};
use super::*;
use crate::domain::intent::target::SecretKey;

#[tokio::test]
async fn targets_of_two_namespaces_may_have_one_name() {
    let engine = engine().await;
    let second = target("edge");
    let mut first = second.clone();
    first.metadata.namespace = Some("one".to_owned());
    first.metadata.uid = Some("another".to_owned());
    let session = async |target: &Target| engine.targets.session(&engine.management, target).await.unwrap();
    let (one, two) = (session(&first).await, session(&second).await);
    assert!(!Arc::ptr_eq(&one, &two));
    assert!(Arc::ptr_eq(&one, &session(&first).await), "it is not replaced");
    assert!(Arc::ptr_eq(&two, &session(&second).await));
}

#[tokio::test]
async fn who_connects_keeps_nobody_waiting() {
    let server = server("management").service();
    let asked = Arc::new(Notify::new());
    let reached = asked.clone();
    let management = Cluster::from_service(
        "management",
        service_fn(move |request: http::Request<kube::client::Body>| {
            let (mut server, reached) = (server.clone(), reached.clone());
            async move {
                if request.uri().path().contains("/secrets/") {
                    reached.notify_one();
                    pending::<()>().await;
                }
                server.call(request).await
            }
        }),
    );
    let targets = Targets::new(mpsc::channel(1).0);
    let mut slow = target("slow");
    slow.spec.kubeconfig_secret = Some(SecretKey { name: "slow".to_owned(), key: "kubeconfig".to_owned() });
    let mut connecting = Box::pin(targets.session(&management, &slow));
    tokio::select! {
        biased;
        _ = &mut connecting => panic!("nobody answers"),
        () = asked.notified() => {}
    }
    // From here on it does not even get to its deadline.
    let quick = target("quick");
    let connected = tokio::time::timeout(Duration::from_mins(1), targets.session(&management, &quick)).await;
    assert!(connected.expect("the other one holds nobody up").is_ok());
    drop(connecting);
}
