// Records what structured-merge-diff makes of two objects:
//
//	go run . SEED COUNT > ../merge_vectors.json
//
// Items of lists are maps with the key `name`, and `v` or `w` of the side that they come from. The old list may hold an
// item several times, as objects of old servers do. `some` is a part of what the new object owns.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"strconv"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

const schema = `types:
- name: root
  map:
    fields:
    - name: list
      type:
        list:
          elementRelationship: associative
          keys: [name]
          elementType: {namedType: item}
    - {name: set, type: {list: {elementRelationship: associative, elementType: {scalar: string}}}}
    - {name: atomic, type: {list: {elementRelationship: atomic, elementType: {scalar: string}}}}
    - {name: map, type: {map: {elementType: {scalar: numeric}}}}
    - {name: item, type: {namedType: item}}
- name: item
  map:
    fields:
    - {name: name, type: {scalar: string}}
    - {name: v, type: {scalar: numeric}}
    - {name: w, type: {scalar: numeric}}
`

type item = map[string]any

func list(random *rand.Rand, field string, twice bool) []any {
	names := []string{"a", "b", "c", "d", "e"}
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	out := []any{}
	for _, name := range names[:random.Intn(len(names)+1)] {
		out = append(out, item{"name": name, field: random.Intn(3)})
		if twice && random.Intn(4) == 0 {
			out = append(out, item{"name": name, field: random.Intn(3)})
		}
	}
	random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func strings(random *rand.Rand) []any {
	out := []any{}
	for _, at := range random.Perm(4)[:random.Intn(5)] {
		out = append(out, string(rune('p'+at)))
	}
	return out
}

// object fills some fields; some of them are empty or null.
func object(random *rand.Rand, field string, twice bool) map[string]any {
	out := map[string]any{}
	put := func(name string, value any) {
		switch random.Intn(8) {
		case 0:
		case 1:
			out[name] = nil
		default:
			out[name] = value
		}
	}
	put("list", list(random, field, twice))
	put("set", strings(random))
	put("atomic", strings(random))
	entries := item{}
	for _, at := range random.Perm(3)[:random.Intn(4)] {
		entries[string(rune('k'+at))] = random.Intn(2)
	}
	put("map", entries)
	put("item", item{"name": "x", field: random.Intn(3)})
	return out
}

func fields(set *fieldpath.Set) any {
	b, err := set.ToJSON()
	if err != nil {
		panic(err)
	}
	return json.RawMessage(b)
}

// some keeps a part of the members of a set.
func some(random *rand.Rand, set *fieldpath.Set) *fieldpath.Set {
	out := fieldpath.NewSet()
	set.Iterate(func(path fieldpath.Path) {
		if random.Intn(2) == 0 {
			out.Insert(path.Copy())
		}
	})
	return out
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	seed, _ := strconv.ParseInt(os.Args[1], 10, 64)
	count, _ := strconv.Atoi(os.Args[2])
	kind := must(typed.NewParser(schema)).Type("root")
	random := rand.New(rand.NewSource(seed))
	for n := range count {
		left := must(kind.FromUnstructured(object(random, "v", n%2 == 0), typed.AllowDuplicates))
		right := must(kind.FromUnstructured(object(random, "w", false)))
		changes := must(left.Compare(right))
		owned := must(right.ToFieldSet())
		part := some(random, owned)
		plain := func(value *typed.TypedValue) any { return value.AsValue().Unstructured() }
		line := map[string]any{
			"old": plain(left), "new": plain(right), "merged": plain(must(left.Merge(right))),
			"added": fields(changes.Added), "removed": fields(changes.Removed), "modified": fields(changes.Modified),
			"owned": fields(owned), "some": fields(part), "without": plain(right.RemoveItems(part)),
			"only": plain(right.ExtractItems(part, typed.WithAppendKeyFields())),
		}
		if n == 0 {
			fmt.Print("[")
		} else {
			fmt.Print(",\n")
		}
		fmt.Print(string(must(json.Marshal(line))))
	}
	fmt.Println("]")
}
