//! The defaults of what watches over writes: webhooks and policies of admission.

use serde_json::Value;

use super::{Row, all};

pub(super) const WEBHOOKS: &[Row<'_>] = &[
    ("?webhooks.*.failurePolicy", r#""Fail""#),
    ("?webhooks.*.matchPolicy", r#""Equivalent""#),
    ("?webhooks.*.namespaceSelector", "{}"),
    ("?webhooks.*.objectSelector", "{}"),
    ("?webhooks.*.timeoutSeconds", "10"),
    ("?webhooks.*.?clientConfig.?service.port", "443"),
    ("?webhooks.*.?rules.*.scope", r#""*""#),
];

/// What a policy or a binding of one is about.
pub(super) const MATCHES: &[Row<'_>] = &[
    ("matchPolicy", r#""Equivalent""#),
    ("namespaceSelector", "{}"),
    ("objectSelector", "{}"),
    ("?resourceRules.*.scope", r#""*""#),
    ("?excludeResourceRules.*.scope", r#""*""#),
];

/// Of a kind of the group `admissionregistration.k8s.io`.
pub(super) fn admission(kind: &str, object: &mut Value) {
    match kind {
        "ValidatingWebhookConfiguration" => all(object, WEBHOOKS),
        "MutatingWebhookConfiguration" => {
            all(object, WEBHOOKS);
            all(object, &[("?webhooks.*.reinvocationPolicy", r#""Never""#)]);
        }
        "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy" => {
            all(object, &[("?spec.failurePolicy", r#""Fail""#)]);
            matches(object.pointer_mut("/spec/matchConstraints"));
        }
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            matches(object.pointer_mut("/spec/matchResources"));
        }
        _ => {}
    }
}

fn matches(resources: Option<&mut Value>) {
    if let Some(resources) = resources {
        all(resources, MATCHES);
    }
}
