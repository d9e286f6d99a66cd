// Records what apimachinery's own field manager answers to random sequences of writes:
//
//	go run . SEED COUNT OPENAPI_V3_DIRECTORY ../thing_crd.json > ../apply_vectors.json
//
// OPENAPI_V3_DIRECTORY is api/openapi-spec/v3 of kubernetes v1.36.3.
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

type M = map[string]interface{}

func load(files ...string) managedfields.TypeConverter {
	all := map[string]*spec.Schema{}
	for _, f := range files {
		b, err := os.ReadFile(os.Args[3] + "/" + f)
		if err != nil {
			panic(err)
		}
		var doc struct {
			Components struct {
				Schemas map[string]*spec.Schema `json:"schemas"`
			} `json:"components"`
		}
		if err := json.Unmarshal(b, &doc); err != nil {
			panic(err)
		}
		for k, v := range doc.Components.Schemas {
			all[k] = v
		}
	}
	var thing spec.Schema
	b, err := os.ReadFile(os.Args[4])
	if err != nil {
		panic(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema json.RawMessage `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(b, &crd); err != nil {
		panic(err)
	}
	if err := json.Unmarshal(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &thing); err != nil {
		panic(err)
	}
	thing.Properties["apiVersion"] = *spec.StringProperty()
	thing.Properties["kind"] = *spec.StringProperty()
	thing.Properties["metadata"] = *spec.RefProperty("#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
	thing.AddExtension("x-kubernetes-group-version-kind", []interface{}{M{"group": "example.com", "version": "v1", "kind": "Thing"}})
	all["com.example.v1.Thing"] = &thing
	tc, err := managedfields.NewTypeConverter(all, false)
	if err != nil {
		panic(err)
	}
	return tc
}

var r *rand.Rand

func p(n int) bool            { return r.Intn(n) == 0 }
func pick(s ...string) string { return s[r.Intn(len(s))] }

type same struct{}

func (same) Convert(in, out, context interface{}) error { return nil }
func (same) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	return in, nil
}
func (same) ConvertFieldLabel(_ schema.GroupVersionKind, _, _ string) (string, string, error) {
	return "", "", nil
}
func (same) Default(runtime.Object) {}
func (same) New(gvk schema.GroupVersionKind) (runtime.Object, error) {
	u := unstructured.Unstructured{Object: M{}}
	u.SetGroupVersionKind(gvk)
	return &u, nil
}

func newManager(tc managedfields.TypeConverter, gvk schema.GroupVersionKind, sub string, reset [][]string) *managedfields.FieldManager {
	set := fieldpath.NewSet()
	for _, path := range reset {
		parts := []interface{}{}
		for _, x := range path {
			parts = append(parts, x)
		}
		set.Insert(fieldpath.MakePathOrDie(parts...))
	}
	filters := map[fieldpath.APIVersion]fieldpath.Filter{fieldpath.APIVersion(gvk.GroupVersion().String()): fieldpath.NewExcludeSetFilter(set)}
	fm, err := managedfields.NewDefaultFieldManager(tc, same{}, same{}, same{}, gvk, gvk.GroupVersion(), sub, filters)
	if err != nil {
		panic(err)
	}
	return fm
}

// what the storage strategy does after the field manager: reset fields stay as they were
func strategy(out, live M, reset [][]string) {
	for _, path := range reset {
		v, ok, _ := unstructured.NestedFieldCopy(live, path...)
		if ok {
			unstructured.SetNestedField(out, v, path...)
		} else {
			unstructured.RemoveNestedField(out, path...)
		}
	}
}

func thing() M {
	o := M{"apiVersion": "example.com/v1", "kind": "Thing", "metadata": M{"name": "d", "namespace": "n"}}
	if p(3) {
		o["metadata"].(M)["labels"] = strmap()
	}
	s := M{}
	if p(2) {
		s["tags"] = func() []interface{} {
			out := []interface{}{}
			for _, x := range uniq(3, "1", "2", "3") {
				out = append(out, x)
			}
			return out
		}()
	}
	if p(2) {
		ps := []interface{}{}
		for _, x := range uniq(3, "1", "2", "1U", "9") {
			q := M{"weight": int64(r.Intn(2))}
			switch x {
			case "1U":
				q["port"], q["protocol"] = int64(1), "UDP"
			case "9":
				q["protocol"] = "X"
			default:
				i, _ := strconv.Atoi(x)
				q["port"] = int64(i)
			}
			ps = append(ps, q)
		}
		s["ports"] = ps
	}
	if p(3) {
		s["free"] = M{"a": pick("1", "2"), "b": words(2, "x"), "c": M{"d": strmap()}}
	}
	if p(3) {
		s["groups"] = M{pick("g", "h"): M{"size": int64(r.Intn(2)), "labels": strmap()}}
	}
	if p(4) {
		s["selector"] = strmap()
	}
	if p(4) {
		s["template"] = M{"apiVersion": "v1", "kind": "X", "metadata": M{"finalizers": []interface{}{pick("a", "b")}}, "extra": strmap()}
	}
	if p(5) {
		s["limit"] = pick("5%", "6%")
	} else if p(5) {
		s["limit"] = int64(3)
	}
	if p(12) {
		s["unknown"] = "x"
	}
	o["spec"] = s
	if p(4) {
		o["status"] = M{"phase": pick("A", "B"), "conditions": []interface{}{M{"type": pick("Ready", "Done"), "status": "True"}}}
	}
	return o
}

func words(n int, s ...string) []interface{} {
	out := []interface{}{}
	for i := 0; i < r.Intn(n+1); i++ {
		out = append(out, pick(s...))
	}
	return out
}
func strmap() M {
	m := M{}
	for i := 0; i < r.Intn(3); i++ {
		m[pick("app", "tier", "app.kubernetes.io/name")] = pick("x", "y")
	}
	return m
}
func uniq(n int, s ...string) []string {
	r.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
	return s[:r.Intn(n+1)]
}
func env() []interface{} {
	out := []interface{}{}
	for _, n := range uniq(3, "A", "B", "C") {
		e := M{"name": n}
		if !p(4) {
			e["value"] = pick("1", "2")
		} else if p(2) {
			e["valueFrom"] = M{"configMapKeyRef": M{"name": pick("cm", "cn"), "key": "k"}}
		}
		out = append(out, e)
	}
	return out
}
func ports() []interface{} {
	out := []interface{}{}
	for _, n := range uniq(3, "80", "81", "80U") {
		q := M{}
		if n == "80U" {
			q = M{"containerPort": int64(80), "protocol": "UDP"}
		} else {
			i, _ := strconv.Atoi(n)
			q = M{"containerPort": int64(i)}
			if p(2) {
				q["protocol"] = "TCP"
			}
		}
		if p(2) {
			q["name"] = pick("web", "api")
		}
		out = append(out, q)
	}
	return out
}
func containers() []interface{} {
	out := []interface{}{}
	for _, n := range uniq(3, "a", "b", "c") {
		c := M{"name": n}
		if !p(4) {
			c["image"] = pick("i:1", "i:2")
		}
		if p(2) {
			c["env"] = env()
		}
		if p(2) {
			c["ports"] = ports()
		}
		if p(3) {
			c["args"] = words(2, "x", "y")
		}
		if p(3) {
			c["resources"] = M{"limits": M{"cpu": pick("1", "2"), "memory": "1Gi"}}
		}
		if p(4) {
			c["securityContext"] = M{}
		}
		if p(4) {
			c["volumeMounts"] = []interface{}{M{"mountPath": pick("/a", "/b"), "name": pick("v", "w")}}
		}
		out = append(out, c)
	}
	return out
}
func deployment() M {
	o := M{"apiVersion": "apps/v1", "kind": "Deployment"}
	md := M{"name": "d", "namespace": "n"}
	if p(2) {
		md["labels"] = strmap()
	}
	if p(2) {
		md["annotations"] = strmap()
	}
	if p(3) {
		f := []interface{}{}
		for _, x := range uniq(2, "f/a", "f/b", "f/c") {
			f = append(f, x)
		}
		md["finalizers"] = f
	}
	o["metadata"] = md
	s := M{}
	if p(2) {
		s["replicas"] = int64(r.Intn(3))
	}
	if p(2) {
		s["selector"] = M{"matchLabels": strmap()}
	}
	if p(3) {
		s["strategy"] = M{"type": pick("Recreate", "RollingUpdate"), "rollingUpdate": M{"maxSurge": pick("25%", "1")}}
	}
	t := M{}
	if p(3) {
		t["metadata"] = M{"labels": strmap()}
	}
	ps := M{}
	if !p(3) {
		ps["containers"] = containers()
	}
	if p(3) {
		ps["nodeSelector"] = strmap()
	}
	if p(4) {
		ps["tolerations"] = []interface{}{M{"key": pick("k", "l")}}
	}
	if p(4) {
		ps["volumes"] = []interface{}{M{"name": pick("v", "w"), "emptyDir": M{}}}
	}
	if p(4) {
		ps["serviceAccountName"] = pick("s", "t")
	}
	if len(ps) > 0 || p(3) {
		t["spec"] = ps
	}
	if len(t) > 0 || p(3) {
		s["template"] = t
	}
	if len(s) > 0 || p(2) {
		o["spec"] = s
	}
	if p(6) {
		o["status"] = M{"replicas": int64(1), "conditions": []interface{}{M{"type": "Ready", "status": pick("True", "False")}}}
	}
	return o
}
func service() M {
	o := M{"apiVersion": "v1", "kind": "Service", "metadata": M{"name": "d", "namespace": "n"}}
	s := M{}
	if !p(3) {
		ps := []interface{}{}
		for _, n := range uniq(3, "80", "81", "53U", "53") {
			q := M{"name": pick("a", "b")}
			switch n {
			case "53U":
				q["port"] = int64(53)
				q["protocol"] = "UDP"
			default:
				i, _ := strconv.Atoi(n)
				q["port"] = int64(i)
				if p(2) {
					q["protocol"] = "TCP"
				}
			}
			if p(2) {
				q["targetPort"] = pick("http", "web")
			} else {
				q["targetPort"] = int64(8080)
			}
			ps = append(ps, q)
		}
		s["ports"] = ps
	}
	if p(2) {
		s["selector"] = strmap()
	}
	if p(3) {
		s["externalIPs"] = words(2, "1.1.1.1", "2.2.2.2")
	}
	o["spec"] = s
	return o
}
func configmap() M {
	o := M{"apiVersion": "v1", "kind": "ConfigMap", "metadata": M{"name": "d", "namespace": "n"}}
	if !p(4) {
		o["data"] = strmap()
	}
	if p(3) {
		o["immutable"] = p(2)
	}
	if p(3) {
		o["metadata"].(M)["labels"] = strmap()
	}
	if p(4) {
		o["bogus"] = "x"
	}
	return o
}
func dropSome(v interface{}, depth int) interface{} {
	switch t := v.(type) {
	case M:
		for _, k := range slices.Sorted(maps.Keys(t)) {
			if depth == 0 && (k == "apiVersion" || k == "kind") || k == "name" || k == "namespace" || k == "uid" || k == "managedFields" || k == "containerPort" || k == "port" || k == "mountPath" || k == "metadata" && depth == 0 || k == "type" {
				if m, ok := t[k].(M); ok {
					t[k] = dropSome(m, depth+1)
				}
				continue
			}
			if p(7) {
				delete(t, k)
				continue
			}
			t[k] = dropSome(t[k], depth+1)
		}
		return t
	case []interface{}:
		out := []interface{}{}
		for _, x := range t {
			if p(7) {
				continue
			}
			out = append(out, dropSome(x, depth+1))
		}
		if len(out) > 0 && p(25) {
			out = append(out, runtime.DeepCopyJSONValue(out[0]))
		}
		return out
	}
	return v
}

type Step struct {
	Op      string      `json:"op"`
	Manager string      `json:"manager"`
	Force   bool        `json:"force,omitempty"`
	Sub     string      `json:"subresource,omitempty"`
	Reset   [][]string  `json:"reset,omitempty"`
	Input   interface{} `json:"input"`
	Output  interface{} `json:"output,omitempty"`
	Error   string      `json:"error,omitempty"`
}
type Case struct {
	Start interface{} `json:"start,omitempty"`
	Steps []Step      `json:"steps"`
}

// Times become one constant: only their presence is recorded.
func clean(o M) M {
	c := runtime.DeepCopyJSON(o)
	if mf, ok, _ := unstructured.NestedSlice(c, "metadata", "managedFields"); ok {
		for _, e := range mf {
			m := e.(M)
			if _, ok := m["time"]; ok {
				m["time"] = "2026-11-21T09:00:00Z"
			}
		}
		unstructured.SetNestedSlice(c, mf, "metadata", "managedFields")
	}
	return c
}

func main() {
	seed, _ := strconv.Atoi(os.Args[1])
	n, _ := strconv.Atoi(os.Args[2])
	r = rand.New(rand.NewSource(int64(seed)))
	tc := load("api__v1_openapi.json", "apis__apps__v1_openapi.json")
	var cases []Case
	for i := 0; i < n; i++ {
		var gen func() M
		var gvk schema.GroupVersionKind
		switch r.Intn(8) {
		case 2, 3:
			gen, gvk = thing, schema.FromAPIVersionAndKind("example.com/v1", "Thing")
		case 0:
			gen, gvk = service, schema.FromAPIVersionAndKind("v1", "Service")
		case 1:
			gen, gvk = configmap, schema.FromAPIVersionAndKind("v1", "ConfigMap")
		default:
			gen, gvk = deployment, schema.FromAPIVersionAndKind("apps/v1", "Deployment")
		}
		main, status := [][]string{{"status"}}, [][]string{{"spec"}, {"metadata", "labels"}}
		if p(2) {
			main = nil
		}
		empty := &unstructured.Unstructured{Object: M{"apiVersion": gvk.GroupVersion().String(), "kind": gvk.Kind}}
		live := empty
		c := Case{}
		if p(3) {
			o := gen()
			delete(o, "bogus")
			if s, ok := o["spec"].(M); ok {
				delete(s, "unknown")
			}
			o["metadata"].(M)["uid"] = "u"
			live = &unstructured.Unstructured{Object: runtime.DeepCopyJSON(o)}
			c.Start = runtime.DeepCopyJSON(o)
		}
		for k := 0; k < 2+r.Intn(4); k++ {
			st := Step{}
			var out runtime.Object
			var err error
			if p(4) {
				st.Sub, st.Reset = "status", status
			} else {
				st.Reset = main
			}
			fm := newManager(tc, gvk, st.Sub, st.Reset)
			if p(3) {
				st.Op = "update"
				st.Manager = pick("u1", "u2", "m1")
				var o M
				if live == empty {
					o = gen()
				} else {
					o = runtime.DeepCopyJSON(live.Object)
					if p(2) {
						g := gen()
						if s, ok := g["spec"]; ok {
							o["spec"] = s
						}
					}
					dropSome(o, 0)
				}
				delete(o, "bogus")
				if s, ok := o["spec"].(M); ok {
					delete(s, "unknown")
				}
				if p(4) {
					st.Manager = "kubectl-client-side-apply"
					o = gen()
					delete(o, "bogus")
					if s, ok := o["spec"].(M); ok {
						delete(s, "unknown")
					}
					delete(o["metadata"].(M), "annotations")
					text, _ := json.Marshal(o)
					o["metadata"].(M)["annotations"] = M{"kubectl.kubernetes.io/last-applied-configuration": string(text) + "\n"}
					if live != empty {
						if u, ok := live.Object["metadata"].(M)["uid"]; ok {
							o["metadata"].(M)["uid"] = u
						}
					}
				}
				st.Input = clean(o)
				out, err = fm.Update(live.DeepCopy(), &unstructured.Unstructured{Object: runtime.DeepCopyJSON(o)}, st.Manager)
			} else {
				st.Op = "apply"
				st.Manager = pick("m1", "m2", "kubectl")
				st.Force = p(2)
				o := gen()
				st.Input = runtime.DeepCopyJSON(o)
				out, err = fm.Apply(live.DeepCopy(), &unstructured.Unstructured{Object: runtime.DeepCopyJSON(o)}, st.Manager, st.Force)
			}
			if err != nil {
				st.Error = err.Error()
			} else {
				next := out.(*unstructured.Unstructured)
				strategy(next.Object, live.Object, st.Reset)
				live = next
				st.Output = clean(live.Object)
			}
			c.Steps = append(c.Steps, st)
		}
		cases = append(cases, c)
	}
	b, _ := json.Marshal(cases)
	fmt.Println(string(b))
}
