//! What is doubtful about a rendered package: objects that do not fit their schema, and names that lead nowhere.

mod manifest;
mod references;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Problem;
use super::ignore::Ignored;
use super::resources::{Place, Resources, is_inventory, is_local};
use crate::domain::krm::object::visible;
use crate::domain::krm::scope::Scopes;
use crate::domain::krm::validate::{UNDECLARED, Violation, around, misfits};
use crate::domain::krm::value::{at, text};
use crate::domain::krm::{Grade, Gvk, Mask, Schemas, metadata, predict, rules, structural, without_value};
use crate::domain::source::FileTree;
use references::Reference;

/// What a check of objects found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What an API server would refuse.
    pub errors: Vec<Problem>,
    /// What may be meant: something outside of the package can be what is named.
    pub warnings: Vec<Problem>,
}

/// Checks every object of a rendered package: its schema (built-in kinds and CRDs of the package), and what it refers
/// to.
///
/// Warned about are kinds without a schema, fields that are for the server to say, a Service or a budget whose selector
/// matches no pod template, and what an object names that the package does not have, unless it is optional: what pods
/// mount and read, the Services of Ingresses and stateful sets, what autoscalers scale, the roles and accounts of
/// bindings; and keys and ports of those.
///
/// # Errors
/// The problems of files that cannot be read.
pub fn check(tree: &FileTree) -> Result<Findings, Vec<Problem>> {
    Resources::read(tree, &Ignored::read(tree)).map(|resources| findings(&resources))
}

/// As [`check()`], of resources that were read already.
pub(super) fn findings(resources: &Resources) -> Findings {
    let objects: Vec<Object> = resources
        .all()
        .into_iter()
        .map(|place| Object { value: resources.value(&place), place })
        .filter(|object| !(is_local(&object.value) || is_inventory(&object.value)))
        .collect();
    let mut schemas = Schemas::builtin();
    for object in objects.iter().filter(|object| object.kind() == "CustomResourceDefinition") {
        // A CRD that cannot be read declares nothing; its own schema tells what is wrong with it.
        let _ = schemas.add_crd(&object.value);
    }
    let scopes = Scopes::of(objects.iter().map(|object| &object.value));
    let mut check = Check { resources, named: named(&objects), pods: pods(&objects), findings: Findings::default() };
    for object in &objects {
        check.manifest(object, &schemas, &scopes);
        check.schema(object, &schemas);
        check.pods(object);
        check.references(object);
    }
    without_secrets(check.findings, objects.iter().map(|object| &object.value))
}

/// What is found may show a value that a Secret of the package holds, too.
fn without_secrets<'v>(findings: Findings, objects: impl Iterator<Item = &'v Value>) -> Findings {
    let mask = Mask::of(objects);
    let masked = |problem: Problem| Problem { message: mask.text(&problem.message), ..problem };
    Findings {
        errors: findings.errors.into_iter().map(masked).collect(),
        warnings: findings.warnings.into_iter().map(masked).collect(),
    }
}

/// Most objects that one line names.
const SHOWN: usize = 5;

/// An object and where it stands.
struct Object {
    place: Place,
    value: Value,
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Object {
    fn kind(&self) -> &str {
        text(&self.value, "/kind")
    }

    fn shown(&self) -> String {
        format!("{}/{}", visible(self.kind()), visible(text(&self.value, "/metadata/name")))
    }

    /// Where the pod template is; the pod itself for a Pod.
    fn template(&self) -> Option<&'static [&'static str]> {
        match self.kind() {
            "Pod" => Some(&[]),
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
                Some(&["spec", "template"])
            }
            "CronJob" => Some(&["spec", "jobTemplate", "spec", "template"]),
            _ => None,
        }
    }

    /// The labels of its pod template.
    fn labels(&self) -> Option<&Map<String, Value>> {
        at(&self.value, self.template()?)?.pointer("/metadata/labels")?.as_object()
    }

    /// Whether a container of its pods has a port of this name.
    fn has_port(&self, name: &str) -> bool {
        let pod = self.template().and_then(|path| at(&self.value, path));
        let is_it = |port: &Value| port.get("name").and_then(Value::as_str) == Some(name);
        let has = |container: &Value| list(container, "/ports").iter().any(is_it);
        pod.is_some_and(|pod| {
            ["/spec/containers", "/spec/initContainers"].iter().any(|all| list(pod, all).iter().any(has))
        })
    }

    /// Whether two objects can be in one namespace; one that names none goes wherever it is applied to.
    fn meets(&self, other: &Self) -> bool {
        let [a, b] = [self, other].map(|object| text(&object.value, "/metadata/namespace"));
        a == b || a.is_empty() || b.is_empty()
    }

    /// Whether it can be in a namespace.
    fn is_in(&self, namespace: &str) -> bool {
        ["", namespace].contains(&text(&self.value, "/metadata/namespace"))
    }
}

struct Check<'a> {
    resources: &'a Resources,
    /// Objects by kind and name.
    named: BTreeMap<(&'a str, &'a str), Vec<&'a Object>>,
    /// Objects with a pod template, by each of its labels.
    pods: BTreeMap<Label<'a>, Vec<&'a Object>>,
    findings: Findings,
}

/// Key, and value as it is written.
type Label<'a> = (&'a str, String);

fn label<'a>((key, value): (&'a String, &Value)) -> Label<'a> {
    (key, value.to_string())
}

fn named(objects: &[Object]) -> BTreeMap<(&str, &str), Vec<&Object>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for object in objects {
        found.entry((object.kind(), text(&object.value, "/metadata/name"))).or_default().push(object);
    }
    found
}

fn pods(objects: &[Object]) -> BTreeMap<Label<'_>, Vec<&Object>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for object in objects {
        for entry in object.labels().into_iter().flatten() {
            found.entry(label(entry)).or_default().push(object);
        }
    }
    found
}

impl<'a> Check<'a> {
    fn problem(&self, code: &'static str, object: &Object, path: &[String], message: &str) -> Problem {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let line = self.resources.line_of(&object.place, &path);
        let problem = Problem::new(code, &object.place.file, line, format!("{}: {message}", object.shown()));
        if path.concat().is_empty() { problem } else { problem.field(path.join(".")) }
    }

    fn manifest(&mut self, object: &Object, schemas: &Schemas, scopes: &Scopes) {
        for remark in manifest::remarks(&object.value, schemas, scopes) {
            let problem = self.problem(remark.code, object, &remark.path, &remark.message);
            let problem = Problem { hint: remark.hint, ..problem };
            if remark.is_error { &mut self.findings.errors } else { &mut self.findings.warnings }.push(problem);
        }
    }

    fn schema(&mut self, object: &Object, schemas: &Schemas) {
        let gvk = Gvk::parse(text(&object.value, "/apiVersion"), object.kind());
        for violation in violations(&object.value, &gvk, schemas) {
            let path = violation.path.steps(&object.value);
            let problem = self.problem("k8s.schema", object, &path, without_value(&object.value, &violation.message));
            self.findings.errors.push(problem);
        }
    }

    /// What chooses pods by their labels.
    fn pods(&mut self, object: &Object) {
        let (path, hint): (&[&str], _) = match (text(&object.value, "/apiVersion"), object.kind()) {
            ("v1", "Service") if text(&object.value, "/spec/type") != "ExternalName" => {
                (&["spec", "selector"], "a Service without pods answers nobody")
            }
            ("policy/v1", "PodDisruptionBudget")
                if list(&object.value, "/spec/selector/matchExpressions").is_empty() =>
            {
                (&["spec", "selector", "matchLabels"], "a budget without pods keeps nothing running")
            }
            _ => return,
        };
        let selector = at(&object.value, path).and_then(Value::as_object);
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else { return };
        let chosen = self.chosen(object, selector);
        if !chosen.is_empty() {
            return self.target_ports(object, &chosen);
        }
        let shown: BTreeMap<&String, &Value> = selector.iter().collect();
        let shown: Vec<String> = shown.into_iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
        let message = format!("its selector {} matches no pod template of the package", shown.join(","));
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        let problem = self.problem("ref.no_pods", object, &path, &message);
        self.findings.warnings.push(problem.hint(hint));
    }

    /// Objects whose pods have all of these labels.
    fn chosen(&self, object: &Object, selector: &Map<String, Value>) -> Vec<&'a Object> {
        let matches = |other: &&Object| {
            let has = |(key, value): (&String, &Value)| other.labels().and_then(|all| all.get(key)) == Some(value);
            object.meets(other) && selector.iter().all(has)
        };
        let likely = selector.iter().next().and_then(|first| self.pods.get(&label(first)));
        likely.into_iter().flatten().copied().filter(matches).collect()
    }

    /// Ports of a Service that are named as no port of its pods is.
    fn target_ports(&mut self, object: &Object, chosen: &[&Object]) {
        if object.kind() != "Service" {
            return;
        }
        for (index, port) in list(&object.value, "/spec/ports").iter().enumerate() {
            let Some(name) = port.get("targetPort").and_then(Value::as_str) else { continue };
            if chosen.iter().any(|other| other.has_port(name)) {
                continue;
            }
            let path = ["spec", "ports", &index.to_string(), "targetPort"].map(str::to_owned);
            let of: Vec<String> = chosen.iter().take(SHOWN).map(|other| other.shown()).collect();
            let message = format!("no container of {} has a port named {}", of.join(", "), visible(name));
            let problem = self.problem("ref.port_missing", object, &path, &message);
            self.findings.warnings.push(problem);
        }
    }

    fn references(&mut self, object: &Object) {
        for reference in references::of(&object.value, object.template()) {
            let Reference { kind, name, namespace, part, path } = &reference;
            let meets = |other: &&Object| match namespace {
                Some(namespace) => other.is_in(namespace),
                None => object.meets(other),
            };
            let named = self.named.get(&(kind.as_str(), name.as_str())).into_iter().flatten();
            let (code, message) = match (named.copied().find(meets), part) {
                (None, _) => ("ref.not_found", format!("the package has no {} {}", visible(kind), visible(name))),
                (Some(found), Some(part)) if !part.is_in(&found.value) => {
                    let (code, missing) = part.missing();
                    (code, format!("{kind} {name} has {missing}"))
                }
                _ => continue,
            };
            let problem = self.problem(code, object, path, &message);
            self.findings.warnings.push(problem);
        }
    }
}

/// What an API server would refuse of an object that is not there yet. Of built-in kinds it judges more in code than
/// [`rules`] knows.
fn violations(object: &Value, gvk: &Gvk, schemas: &Schemas) -> Vec<Violation> {
    let (schema, grade) = schemas.lookup(gvk);
    let mut named = metadata::naming_faults(gvk, schema.is_custom(), object);
    named.extend(metadata::own_naming_faults(gvk, object));
    named.extend(metadata::validate_entries(object));
    let named = named.into_iter().map(|cause| Violation::of(cause, object));
    if !schema.is_custom() {
        let mut found: Vec<Violation> = misfits(object, schema).into_iter().chain(named).collect();
        // As the server does: what cannot be read is told alone.
        let readable = found.iter().all(|found| found.message == UNDECLARED) && grade != Grade::None;
        if let Some(predicted) = readable.then(|| predict(None, object, "validate", schemas).ok()).flatten() {
            let broken = rules::refused(gvk, None, &predicted.object, schema);
            found.extend(broken.into_iter().map(|cause| Violation::of(cause, object)));
        }
        return found;
    }
    let mut whole = object.clone();
    if let Some(fields) = whole.as_object_mut() {
        // What a controller says of it is not taken from its author.
        fields.remove("status");
    }
    schemas.fill(gvk, &mut whole);
    let causes = structural::refused(&whole, None, schema).into_iter().map(|cause| Violation::of(cause, object));
    around(object, schema).into_iter().chain(named).chain(causes).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::source::File;

    fn told(files: &[(&str, &str)]) -> Vec<String> {
        let mut tree = FileTree::new();
        for (path, text) in files {
            tree.insert(*path, File::regular(text.as_bytes().to_vec())).unwrap();
        }
        let findings = check(&tree).unwrap();
        let errors = findings.errors.iter().map(|problem| format!("error: {problem}"));
        errors.chain(findings.warnings.iter().map(|problem| format!("warning: {problem}"))).collect()
    }

    const POD: &str = "apiVersion: v1
kind: Pod
metadata:
  name: p
  labels:
    app: web
spec:
  serviceAccountName: runner
  imagePullSecrets:
  - name: pull
  volumes:
  - name: a
    configMap:
      name: settings
  - name: b
    secret:
      secretName: maybe
      optional: true
  - name: c
    persistentVolumeClaim:
      claimName: disk
  - name: d
    projected:
      sources:
      - secret:
          name: cert
  containers:
  - name: web
    image: web:1
    envFrom:
    - configMapRef:
        name: settings
    env:
    - name: LEVEL
      valueFrom:
        configMapKeyRef:
          name: settings
          key: level
    - name: PASSWORD
      valueFrom:
        secretKeyRef:
          name: login
          key: password
";

    #[test]
    fn names_that_lead_nowhere_are_warned_about() {
        let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  other: x\n";
        let told = told(&[("pod.yaml", POD), ("settings.yaml", settings)]);
        let expected = [
            "pod.yaml:21: spec.volumes.2.persistentVolumeClaim.claimName: Pod/p: the package has no PersistentVolumeClaim disk [ref.not_found]",
            "pod.yaml:26: spec.volumes.3.projected.sources.0.secret.name: Pod/p: the package has no Secret cert [ref.not_found]",
            "pod.yaml:10: spec.imagePullSecrets.0.name: Pod/p: the package has no Secret pull [ref.not_found]",
            "pod.yaml:37: spec.containers.0.env.0.valueFrom.configMapKeyRef.name: Pod/p: ConfigMap settings has no key level [ref.key_missing]",
            "pod.yaml:42: spec.containers.0.env.1.valueFrom.secretKeyRef.name: Pod/p: the package has no Secret login [ref.not_found]",
            "pod.yaml:8: spec.serviceAccountName: Pod/p: the package has no ServiceAccount runner [ref.not_found]",
        ];
        let expected: Vec<String> = expected.iter().map(|line| format!("warning: {line}")).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_service_without_pods_is_warned_about() {
        let service = |selector: &str, more: &str| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  selector:\n    {selector}\n  ports:\n  - port: 80\n{more}"
            )
        };
        let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  labels:\n    app: web\nspec:\n  containers:\n  - name: a\n    image: a:1\n";
        let with = |text: &str| told(&[("p.yaml", pod), ("s.yaml", text)]);
        assert_eq!(with(&service("app: web", "")), [""; 0]);
        assert_eq!(with(&service("app: api", "  type: ExternalName\n  externalName: e.com\n")), [""; 0]);
        let expected = "warning: s.yaml:6: spec.selector: Service/s: its selector app=api matches no pod template of the package (a Service without pods answers nobody) [ref.no_pods]";
        assert_eq!(with(&service("app: api", "")), [expected]);
        let budget = |labels: &str| {
            format!(
                "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n  name: b\nspec:\n  minAvailable: 1\n  selector:\n    matchLabels:\n      {labels}\n"
            )
        };
        assert_eq!(with(&budget("app: web")), [""; 0]);
        let expected = "warning: s.yaml:8: spec.selector.matchLabels: PodDisruptionBudget/b: its selector app=api matches no pod template of the package (a budget without pods keeps nothing running) [ref.no_pods]";
        assert_eq!(with(&budget("app: api")), [expected]);
    }

    #[test]
    fn a_port_of_a_service_that_no_pod_has_is_warned_about() {
        let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  labels:\n    app: web\nspec:\n  containers:\n  - name: a\n    image: a:1\n    ports:\n    - name: http\n      containerPort: 80\n";
        let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\nspec:\n  selector:\n    app: web\n  ports:\n  - name: a\n    port: 80\n    targetPort: http\n  - name: b\n    port: 81\n    targetPort: 9999\n  - name: c\n    port: 82\n    targetPort: metrics\n";
        let expected = "warning: s.yaml:17: spec.ports.2.targetPort: Service/s: no container of Pod/p has a port named metrics [ref.port_missing]";
        assert_eq!(told(&[("p.yaml", pod), ("s.yaml", service)]), [expected]);
    }

    const INGRESS: &str = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: i
  namespace: a
spec:
  defaultBackend:
    service: {name: web, port: {number: 81}}
  rules:
  - http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}
      - path: /api
        pathType: Prefix
        backend:
          service:
            name: api
            port: {number: 80}
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - {name: http, port: 80}
---
apiVersion: v1
kind: Service
metadata:
  name: api
  namespace: b
spec:
  ports:
  - port: 80
";

    #[test]
    fn an_ingress_needs_services_of_its_namespace_with_its_ports() {
        let expected = [
            "warning: i.yaml:8: spec.defaultBackend.service.name: Ingress/i: Service web has no port 81 [ref.port_missing]",
            "warning: i.yaml:17: spec.rules.0.http.paths.1.backend.service.name: Ingress/i: the package has no Service api [ref.not_found]",
        ];
        assert_eq!(told(&[("i.yaml", INGRESS)]), expected);
    }

    #[test]
    fn what_is_scaled_and_who_is_bound_is_looked_for() {
        let scaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: h\nspec:\n  maxReplicas: 2\n  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: web\n";
        let expected = "warning: h.yaml:10: spec.scaleTargetRef.name: HorizontalPodAutoscaler/h: the package has no Deployment web [ref.not_found]";
        assert_eq!(told(&[("h.yaml", scaler)]), [expected]);
        let binding = |role: &str, account: &str| {
            format!(
                "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: b\nroleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: {role}\nsubjects:\n- kind: ServiceAccount\n  name: {account}\n  namespace: b\n- kind: User\n  name: somebody\n  apiGroup: rbac.authorization.k8s.io\n"
            )
        };
        let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: robot\n  namespace: a\n";
        let with =
            |role: &str, name: &str, account: &str| told(&[("a.yaml", account), ("b.yaml", &binding(role, name))]);
        assert_eq!(with("view", "default", account), [""; 0]);
        assert_eq!(with("system:node", "robot", &account.replace("namespace: a", "namespace: b")), [""; 0]);
        let expected = [
            "warning: b.yaml:8: roleRef.name: ClusterRoleBinding/b: the package has no ClusterRole robots [ref.not_found]",
            "warning: b.yaml:11: subjects.0.name: ClusterRoleBinding/b: the package has no ServiceAccount robot [ref.not_found]",
        ];
        assert_eq!(with("robots", "robot", account), expected);
    }

    const CRD: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: things.x.y
spec:
  group: x.y
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          status:
            type: object
            required: [phase]
            properties:
              phase: {type: string}
          spec:
            type: object
            required: [size, mode]
            x-kubernetes-validations:
            - rule: self.size < 9
            properties:
              size: {type: integer, minimum: 1, multipleOf: 2}
              mode: {type: string, enum: [a, b], default: a}
              name: {type: string, pattern: '^[a-z]+$', maxLength: 4}
              at: {type: string, format: ipv4}
              free: {type: object, additionalProperties: {type: integer, maximum: 3}}
              list:
                type: array
                x-kubernetes-list-type: set
                items: {type: string}
";

    #[test]
    fn what_the_schema_of_a_crd_refuses_is_an_error_with_its_line() {
        let thing = |spec: &str| {
            let text = format!("# a thing\napiVersion: x.y/v1\nkind: Thing\nmetadata:\n  name: t\nspec:\n{spec}");
            told(&[("crd.yaml", CRD), ("t.yaml", text.as_str())])
        };
        assert_eq!(thing("  size: 2\n  name: abc\n  at: 10.0.0.1\n  list: [a, b]\nstatus: {}\n"), [""; 0]);
        let spec =
            "  size: 3\n  name: ABC\n  other: 1\n  at: here\n  free:\n    x.y: 3\n    z.a: 4\n  list:\n  - a\n  - a\n";
        let expected = [
            "t.yaml:9: spec.other: Thing/t: field not declared in schema [k8s.schema]",
            r#"t.yaml:10: spec.at: Thing/t: Invalid value: "here": spec.at in body must be of type ipv4: "here" [k8s.schema]"#,
            "t.yaml:13: spec.free.z.a: Thing/t: Invalid value: 4: spec.free.z.a in body should be less than or equal to 3 [k8s.schema]",
            r#"t.yaml:8: spec.name: Thing/t: Invalid value: "ABC": spec.name in body should match '^[a-z]+$' [k8s.schema]"#,
            "t.yaml:7: spec.size: Thing/t: Invalid value: 3: spec.size in body should be a multiple of 2 [k8s.schema]",
            r#"t.yaml:16: spec.list.1: Thing/t: Duplicate value: "a" [k8s.schema]"#,
            "t.yaml:2: Thing/t: Invalid value: null: some validation rules were not checked because the object was invalid; \
             correct the existing errors to complete validation [k8s.schema]",
        ];
        assert_eq!(thing(spec), expected.map(|line| format!("error: {line}")));
        assert_eq!(
            thing("  mode: null\n  size: 10\n"),
            ["error: t.yaml:6: spec: Thing/t: Invalid value: failed rule: self.size < 9 [k8s.schema]"]
        );
        assert_eq!(thing("  name: a\n")[0], "error: t.yaml:6: spec.size: Thing/t: Required value [k8s.schema]");
    }

    #[test]
    fn scalars_that_are_not_written_as_they_must_be_are_errors() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\ndata:\n  a: YQ==\n  b: '%hush'\n";
        let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: c\nspec:\n  resources:\n    requests:\n      storage: 1 Gib\n";
        let expected = [
            "error: c.yaml:8: spec.resources.requests.storage: PersistentVolumeClaim/c: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' [k8s.schema]",
            "error: s.yaml:7: data.b: Secret/s: illegal base64 data at input byte 0 [k8s.schema]",
        ];
        assert_eq!(told(&[("c.yaml", claim), ("s.yaml", secret)]), expected);
    }

    #[test]
    fn names_that_no_server_takes_are_errors() {
        let named = |kind: &str, name: &str| {
            format!("apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n  ports:\n  - port: 80\n")
        };
        for name in ["Big", "a/b", "a.", "'{{ .Values.x }}'", "a-$(NAME)"] {
            let map = named("ConfigMap", name).replace("spec:\n  ports:\n  - port: 80\n", "");
            let found = told(&[("m.yaml", &map)]);
            assert!(
                found.len() == 1 && found[0].starts_with("error: m.yaml:4: metadata.name: ConfigMap/"),
                "{found:?}"
            );
        }
        assert!(told(&[("s.yaml", &named("Service", "a.b"))])[0].contains("must not contain dots"));
        assert_eq!(told(&[("s.yaml", &named("Service", "a-b"))]), [""; 0]);
    }

    #[test]
    fn what_the_rules_of_a_kind_refuse_is_an_error_with_its_line() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  replicas: -1\n  selector:\n    matchLabels: {app: a}\n  template:\n    metadata:\n      labels: {app: b}\n    spec:\n      containers:\n      - name: a\n        image: a:1\n        ports:\n        - containerPort: 70000\n";
        let expected = [
            "d.yaml:6: spec.replicas: Deployment/d: Invalid value: -1: must be greater than or equal to 0 [k8s.schema]",
            "d.yaml:11: spec.template.metadata.labels: Deployment/d: Invalid value: {\"app\":\"b\"}: `selector` does not match template `labels` [k8s.schema]",
            "d.yaml:17: spec.template.spec.containers.0.ports.0.containerPort: Deployment/d: Invalid value: 70000: must be between 1 and 65535, inclusive [k8s.schema]",
        ];
        assert_eq!(told(&[("d.yaml", text)]), expected.map(|line| format!("error: {line}")));
    }

    #[test]
    fn what_does_not_fit_its_schema_is_an_error_with_its_line() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  replica: 1\n  template:\n    spec:\n      containers:\n      - name: a\n        image: 5\n";
        let expected = [
            "error: d.yaml:6: spec.replica: Deployment/d: field not declared in schema [k8s.schema]",
            "error: d.yaml:11: spec.template.spec.containers.0.image: Deployment/d: expected string, got 5 [k8s.schema]",
        ];
        assert_eq!(told(&[("d.yaml", text)]), expected);
    }
}
