use super::*;
use crate::adapters::git::LocalRepository;
use crate::domain::id::{Digest, PackageName, RepositoryName};
use crate::domain::lease::{LeaseRecord, Timing};

fn forge() -> (tempfile::TempDir, LocalForge) {
    let dir = tempfile::tempdir().unwrap();
    let git = LocalRepository::init(&dir.path().join("r.git")).unwrap();
    (dir, LocalForge::new(Arc::new(git)))
}

fn claim() -> Claim {
    let lease = LeaseRecord { holder: Some("me".into()), ..LeaseRecord::default() };
    Claim::after_renewal(&lease, "me", Timestamp::now(), &Timing::default()).unwrap()
}

fn content(package: &str, plan: &str) -> ProposalContent {
    ProposalContent {
        key: ProposalKey {
            repository: RepositoryName::new("deployments").unwrap(),
            base: "main".into(),
            package: PackageName::new(package).unwrap(),
        },
        kind: ProposalKind::Publish,
        title: format!("Publish {package}"),
        body: format!("the plan {plan}"),
        head_ref: format!("refs/heads/proposed/{package}/w"),
        head: CommitId::new("a".repeat(40)).unwrap(),
        base_commit: CommitId::new("b".repeat(40)).unwrap(),
        plan: PlanId::from_digest(Digest::of(plan.as_bytes())),
        plan_json: serde_json::json!({"plan": plan}),
    }
}

fn approve(content: &ProposalContent) -> Decision {
    Decision::Approve { plan: content.plan.clone(), head: content.head.clone() }
}

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

#[tokio::test]
async fn one_is_open_per_package_and_is_adopted() {
    let (dir, forge) = forge();
    let first = forge.open_or_update(&claim(), &content("upf", "1"), None, NOW).await.unwrap();
    let again = forge.open_or_update(&claim(), &content("upf", "1"), None, NOW).await.unwrap();
    let other = forge.open_or_update(&claim(), &content("amf", "1"), None, NOW).await.unwrap();
    assert_eq!((first.number, again.number, other.number), (1, 1, 2));
    assert_eq!(first, forge.get(1).await.unwrap());
    let log = std::process::Command::new("git")
        .args(["log", "--format=%s", "refs/loggia/proposals/1"])
        .current_dir(dir.path().join("r.git"))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(log.stdout).unwrap(),
        "Open proposal 1\n",
        "an unchanged proposal is not written again"
    );
}

#[tokio::test]
async fn a_changed_plan_takes_an_approval_back_and_says_why() {
    let (_dir, forge) = forge();
    let one = content("upf", "1");
    forge.open_or_update(&claim(), &one, None, NOW).await.unwrap();
    let approved = forge.decide(1, approve(&one), "P", "p@example.com", NOW).await.unwrap();
    assert_eq!(approved.verdict.word(), "Approved");
    assert_eq!(forge.decide(1, approve(&one), "P", "p@example.com", NOW).await.unwrap(), approved);
    let two = content("upf", "2");
    let refreshed = forge.open_or_update(&claim(), &two, Some("replicas changed"), NOW).await.unwrap();
    assert_eq!(refreshed.verdict, ProposalState::Open);
    assert!(
        refreshed.comments[0].text.contains("since you approved") && refreshed.comments[0].text.contains("replicas")
    );
    let stale = forge.decide(1, approve(&one), "P", "p@example.com", NOW).await.unwrap_err().to_string();
    assert!(stale.contains("proposal 1 changed since it was read"), "{stale}");
}

#[tokio::test]
async fn what_is_decided_stays_and_a_new_one_opens_afterwards() {
    let (_dir, forge) = forge();
    let one = content("upf", "1");
    forge.open_or_update(&claim(), &one, None, NOW).await.unwrap();
    forge.decide(1, Decision::Reject { reason: "no".into() }, "P", "p@example.com", NOW).await.unwrap();
    let error = forge.decide(1, approve(&one), "P", "p@example.com", NOW).await.unwrap_err().to_string();
    assert_eq!(error, "cannot approve proposal 1: it is Rejected");
    let next = forge.open_or_update(&claim(), &content("upf", "2"), None, NOW).await.unwrap();
    assert_eq!(next.number, 2);
    let done = ProposalState::Done { outcome: "published as v1".into(), at: NOW };
    assert_eq!(forge.conclude(&claim(), 2, done.clone()).await.unwrap().verdict, done);
    assert_eq!(
        forge.conclude(&claim(), 2, ProposalState::Withdrawn { reason: "x".into(), at: NOW }).await.unwrap().verdict,
        done
    );
    assert!(matches!(forge.get(9).await.unwrap_err(), ForgeError::NotFound(9)));
}

#[tokio::test]
async fn what_people_wrote_around_our_text_stays() {
    let text = format!("Please look, A.\n\n{}", marked("old"));
    assert_eq!(refreshed(&text, "new"), format!("Please look, A.\n\n{}", marked("new")));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_openers_get_one_proposal() {
    let (_dir, forge) = forge();
    let openers: Vec<_> = (0..8)
        .map(|_| {
            let forge = forge.clone();
            tokio::spawn(async move {
                forge.open_or_update(&claim(), &content("upf", "1"), None, NOW).await.map(|p| p.number)
            })
        })
        .collect();
    for opener in openers {
        assert_eq!(opener.await.unwrap().unwrap(), 1);
    }
    assert_eq!(forge.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_live_claim_nothing_is_written() {
    let (_dir, forge) = forge();
    let lease = LeaseRecord { holder: Some("me".into()), ..LeaseRecord::default() };
    let old = Claim::after_renewal(&lease, "me", Timestamp::UNIX_EPOCH, &Timing::default()).unwrap();
    let error = forge.open_or_update(&old, &content("upf", "1"), None, NOW).await.unwrap_err().to_string();
    assert!(error.contains("may not write"), "{error}");
    assert_eq!(forge.list().await.unwrap(), []);
}
