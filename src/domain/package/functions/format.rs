//! `format`: fields in their usual order, two spaces a level, quotes where a bare text would not be one.

use serde_json::Value;

use super::{Call, FunctionError, Native, kind_of, text_at};
use crate::domain::krm::Gvk;
use crate::domain::krm::document::{Entry, Limits, Node, NodeKind, YamlFile};
use crate::domain::krm::schema::{Format, Schema, Schemas, Shape};

/// Annotation of resources that are left as they are, with the value `none`.
const ANNOTATION: &str = "config.kubernetes.io/formatting";

pub(super) const NATIVE: Native = Native {
    name: "format",
    aliases: &[],
    families: &["v0.1"],
    summary: "orders fields, indents by two spaces, and quotes texts that would be read as something else",
    kind: None,
    options: &[],
    example: "pipeline:
  mutators:
  - image: format:v0.1
",
    notes: "The order is kyaml's; fields that it does not know follow by name. Comments move with what they stand above or \
            behind. Lists keep their order, except containers of workloads (by name). A resource with the annotation \
            config.kubernetes.io/formatting: none is left alone, as are the Kptfile and what is written in braces.",
    run,
};

/// The usual order, as kyaml has it.
const ORDER: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "clusterName",
    "apiVersion",
    "kind",
    "metadata",
    "type",
    "labels",
    "annotations",
    "spec",
    "status",
    "stringData",
    "data",
    "binaryData",
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "replicas",
    "selector",
    "manualSelector",
    "template",
    "ttlSecondsAfterFinished",
    "volumeClaimTemplates",
    "service",
    "serviceName",
    "podManagementPolicy",
    "updateStrategy",
    "strategy",
    "minReadySeconds",
    "revision",
    "revisionHistoryLimit",
    "paused",
    "progressDeadlineSeconds",
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "dnsPolicy",
    "serviceAccountName",
    "serviceAccount",
    "automountServiceAccountToken",
    "nodeName",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "shareProcessNamespace",
    "hostname",
    "subdomain",
    "schedulerName",
    "priorityClassName",
    "priority",
    "runtimeClassName",
    "enableServiceLinks",
    "nodeSelector",
    "hostAliases",
    "initContainers",
    "containers",
    "volumes",
    "imagePullSecrets",
    "affinity",
    "tolerations",
    "dnsConfig",
    "readinessGates",
    "image",
    "command",
    "args",
    "workingDir",
    "ports",
    "envFrom",
    "env",
    "resources",
    "volumeMounts",
    "volumeDevices",
    "livenessProbe",
    "readinessProbe",
    "lifecycle",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "imagePullPolicy",
    "securityContext",
    "stdin",
    "stdinOnce",
    "tty",
    "clusterIP",
    "externalIPs",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "externalName",
    "externalTrafficPolicy",
    "sessionAffinity",
    "protocol",
    "port",
    "targetPort",
    "hostPort",
    "containerPort",
    "hostIP",
    "readOnly",
    "mountPath",
    "subPath",
    "subPathExpr",
    "mountPropagation",
    "value",
    "valueFrom",
    "fieldRef",
    "resourceFieldRef",
    "configMapKeyRef",
    "secretKeyRef",
    "prefix",
    "configMapRef",
    "secretRef",
];

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    call.only(&["data"], &[])?;
    let schemas = Schemas::builtin();
    let mut count = 0;
    for (place, value) in call.values() {
        if text_at(&value, &["metadata", "annotations", ANNOTATION]) == "none" {
            continue;
        }
        let Some(found) = call.resources.document(&place) else { continue };
        let gvk = Gvk::parse(text_at(&value, &["apiVersion"]), kind_of(&value));
        let text = found.file.document_text(found.index).to_owned();
        let Some(formatted) = formatted(&text, schemas.lookup(&gvk).0, kind_of(&value)) else {
            let origin = call.origin(&place, &[]);
            call.warn("it is left as it is: it cannot be formatted without changing what it says", Some(origin));
            continue;
        };
        let origin = call.origin(&place, &[]);
        let changed = call.resources.replace(&place, &formatted);
        count += usize::from(changed.map_err(|source| FunctionError::Edit { origin, source })?);
    }
    call.info(format!("formatted {count} resource(s)"));
    Ok(())
}

/// The text of one document in order; `None` when that would change what it says, beyond the quotes that are meant.
fn formatted(text: &str, schema: &Schema, kind: &str) -> Option<String> {
    let file = YamlFile::parse(text.as_bytes(), &Limits::of(text.as_bytes())).ok()?;
    let root = file.documents().first()?;
    let mut writer = Writer {
        file: &file,
        text,
        lines: text.lines().collect(),
        kind,
        out: Vec::new(),
        quoted: Vec::new(),
        above: 0,
    };
    writer.comments(0..root.line - 1, 0);
    writer.above = root.line - 1;
    writer.node(root, 0, "", schema.node(), &mut Vec::new());
    writer.comments(root.end_line()..writer.lines.len(), 0);
    let formatted = writer.out.join("\n") + "\n";
    let mut expected = file.value(0).ok()?;
    for path in &writer.quoted {
        let pointer: String =
            path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect();
        let place = expected.pointer_mut(&pointer)?;
        *place = Value::from(root.at(&super::refs(path)).and_then(text_of)?);
    }
    let read = YamlFile::parse(formatted.as_bytes(), &Limits::of(formatted.as_bytes())).ok()?.value(0).ok()?;
    (sorted_containers(read, kind) == sorted_containers(expected, kind)).then_some(formatted)
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

/// Whether containers are ordered by name.
fn sorts_containers(kind: &str) -> bool {
    matches!(kind, "CronJob" | "DaemonSet" | "Deployment" | "Job" | "ReplicaSet" | "StatefulSet")
}

fn sorted_containers(mut value: Value, kind: &str) -> Value {
    let list = value.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
    if let Some(list) = list.filter(|_| sorts_containers(kind)) {
        list.sort_by(|a, b| text_at(a, &["name"]).cmp(text_at(b, &["name"])));
    }
    value
}

fn rank(key: &str) -> (usize, &str) {
    (ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len()), key)
}

struct Writer<'a> {
    file: &'a YamlFile,
    text: &'a str,
    lines: Vec<&'a str>,
    kind: &'a str,
    out: Vec<String>,
    /// Paths of the scalars that got quotes.
    quoted: Vec<Vec<String>>,
    /// Last line before the node that comes next; what lies between are its comments.
    above: usize,
}

type Shaped<'s> = crate::domain::krm::schema::Node<'s>;

impl Writer<'_> {
    /// Lines that hold no value, by their numbers from 0, at an indent.
    fn comments(&mut self, lines: std::ops::Range<usize>, indent: usize) {
        for line in lines {
            let text = self.lines.get(line).map_or("", |line| line.trim());
            self.out.push(if text.is_empty() { String::new() } else { format!("{}{text}", " ".repeat(indent)) });
        }
    }

    /// A node below its key or dash: `lead` is what its first line begins with instead of the indent.
    fn node(&mut self, node: &Node, indent: usize, lead: &str, shape: Shaped<'_>, path: &mut Vec<String>) {
        match &node.kind {
            NodeKind::Mapping { entries, flow: false } => self.mapping(entries, indent, lead, shape, path),
            NodeKind::Sequence { items, flow: false } => self.sequence(items, indent, lead, shape, path),
            _ => {
                let first = format!("{lead}{}", self.text[node.span.clone()].trim_end());
                self.rest_of_lines(&first, node, node.column - 1, indent);
            }
        }
    }

    /// Pushes a first line, with the comment behind it, and the lines that follow it in the source, moved.
    fn rest_of_lines(&mut self, first: &str, node: &Node, from: usize, to: usize) {
        let mut lines = first.split('\n');
        let mut moved: Vec<String> = lines.next().into_iter().map(str::to_owned).collect();
        for line in lines {
            let pad = line.len() - line.trim_start().len();
            let text = line.trim_start();
            moved.push(if text.is_empty() {
                String::new()
            } else {
                format!("{}{text}", " ".repeat(pad.saturating_sub(from) + to))
            });
        }
        if let Some(last) = moved.last_mut() {
            last.push_str(&self.comment_behind(node));
        }
        self.out.extend(moved);
    }

    fn comment_behind(&self, node: &Node) -> String {
        let block = matches!(node.kind, NodeKind::Scalar { block: true, .. });
        let rest = self.text.get(node.span.end..).and_then(|rest| rest.lines().next()).unwrap_or_default().trim();
        if !block && rest.starts_with('#') { format!(" {rest}") } else { String::new() }
    }

    fn mapping(&mut self, entries: &[Entry], indent: usize, lead: &str, shape: Shaped<'_>, path: &mut Vec<String>) {
        // Comments above an entry are those behind the end of the one before it in the source.
        let mut above = Vec::new();
        let mut end = self.above;
        for entry in entries {
            above.push((entry, end..entry.key_node.line - 1));
            end = entry.value.end_line().max(entry.key_node.last_line);
        }
        above.sort_by(|(a, _), (b, _)| rank(&a.key).cmp(&rank(&b.key)));
        for (index, (entry, comments)) in above.into_iter().enumerate() {
            let start = if index == 0 && !lead.is_empty() { lead.to_owned() } else { " ".repeat(indent) };
            if index == 0 && !lead.is_empty() && !comments.is_empty() {
                // Above the dash is the only place for them.
                self.comments(comments, lead.len() - lead.trim_start().len());
            } else {
                self.comments(comments, indent);
            }
            path.push(entry.key.clone());
            self.entry(entry, indent, &start, child(shape, &entry.key), path);
            path.pop();
        }
    }

    fn entry(&mut self, entry: &Entry, indent: usize, start: &str, shape: Shaped<'_>, path: &mut Vec<String>) {
        let key = format!("{start}{}:", &self.text[entry.key_node.span.clone()]);
        let below = |column: usize| if column > entry.key_node.column { indent + 2 } else { indent };
        match &entry.value.kind {
            NodeKind::Mapping { flow: false, .. } | NodeKind::Sequence { flow: false, .. } => {
                let line = self.lines.get(entry.key_node.last_line - 1).copied().unwrap_or_default();
                let behind = line.get(entry.key_node.column - 1 + entry.key_node.span.len()..).unwrap_or_default();
                self.out.push(format!("{key}{}", behind.trim_start().trim_start_matches(':').trim_end()));
                let deeper = below(self.file.column_of(&entry.value));
                self.above = entry.key_node.last_line;
                self.node(&entry.value, deeper, "", shape, path);
            }
            _ if needs_quotes(&entry.value, shape) => {
                self.quoted.push(path.clone());
                let text = text_of(&entry.value).map_or_else(String::new, |text| Value::from(text).to_string());
                let comment = self.comment_behind(&entry.value);
                self.out.push(format!("{key} {text}{comment}"));
            }
            _ => {
                let line_start = entry.key_node.span.end;
                let whole = &self.text[line_start..entry.value.span.end.max(line_start + 1)];
                let whole = whole.trim_end();
                let first = format!("{key}{}", whole.strip_prefix(':').unwrap_or(whole));
                let from = entry.key_node.column - 1;
                self.rest_of_lines(&first, &entry.value, from, indent);
            }
        }
    }

    fn sequence(&mut self, items: &[Node], indent: usize, lead: &str, shape: Shaped<'_>, path: &mut Vec<String>) {
        let mut above = Vec::new();
        let mut end = self.above;
        for (index, item) in items.iter().enumerate() {
            above.push((index, item, end..item.line - 1));
            end = item.end_line();
        }
        if sorts_containers(self.kind) && path.join(".") == "spec.template.spec.containers" {
            let name = |node: &Node| node.at(&["name"]).and_then(text_of).unwrap_or_default().to_owned();
            above.sort_by_key(|(_, item, _)| name(item));
        }
        for (place, (index, item, comments)) in above.into_iter().enumerate() {
            let start = if place == 0 && !lead.is_empty() { lead.to_owned() } else { " ".repeat(indent) };
            self.comments(comments, indent);
            path.push(index.to_string());
            self.above = item.line - 1;
            self.node(item, indent + 2, &format!("{start}- "), element(shape), path);
            path.pop();
        }
    }
}

/// Whether a bare text of a field that holds texts would be read as something else.
fn needs_quotes(node: &Node, shape: Shaped<'_>) -> bool {
    let bare = matches!(&node.kind, NodeKind::Scalar { plain: true, tag: None, .. }) && !node.is_absent();
    let text = matches!(
        shape.shape(),
        Shape::Scalar(Format::Text | Format::Bytes | Format::Time | Format::Duration | Format::Formatted)
    );
    let typed = text_of(node).and_then(super::scalar::read).is_some_and(|value| !value.is_string());
    bare && text && typed
}

/// The shape of a field.
fn child<'s>(shape: Shaped<'s>, key: &str) -> Shaped<'s> {
    match shape.shape() {
        Shape::Map(map) => map.field(key).map_or(shape.at(&Shape::Any), |found| shape.at(found)),
        _ => shape.at(&Shape::Any),
    }
}

/// The shape of an item.
fn element(shape: Shaped<'_>) -> Shaped<'_> {
    match shape.shape() {
        Shape::List(list) => shape.at(&list.element),
        _ => shape.at(&Shape::Any),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pretty(text: &str) -> String {
        let value = YamlFile::parse(text.as_bytes(), &Limits::default()).unwrap().value(0).unwrap();
        let gvk = Gvk::parse(text_at(&value, &["apiVersion"]), kind_of(&value));
        formatted(text, Schemas::builtin().lookup(&gvk).0, kind_of(&value)).unwrap()
    }

    #[test]
    fn fields_are_ordered_and_comments_stay_with_them() {
        let text = "# head
kind: ConfigMap # what
# which
metadata:
    # why
    annotations:
        a: 100
    name: c
apiVersion: v1
data:
    text: |
        one
          two
# foot
";
        let expected = "# head
apiVersion: v1
kind: ConfigMap # what
# which
metadata:
  name: c
  # why
  annotations:
    a: \"100\"
data:
  text: |
      one
        two
# foot
";
        assert_eq!(pretty(text), expected);
        assert_eq!(pretty(expected), expected, "twice changes nothing");
    }

    #[test]
    fn containers_are_ordered_by_name() {
        let text = "apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  template:
    spec:
      containers:
        - image: b:1
          name: b
          args: [x]
        # the first
        - name: a
          image: a:1
";
        let expected = "apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  template:
    spec:
      containers:
        # the first
        - name: a
          image: a:1
        - name: b
          image: b:1
          args: [x]
";
        assert_eq!(pretty(text), expected);
    }
}
