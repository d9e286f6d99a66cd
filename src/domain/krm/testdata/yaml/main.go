// Records what the decoder of Kubernetes makes of YAML texts:
//
//	go run . SEED COUNT > ../yaml_vectors.json
//
// A line is [text, value] or, when it is refused, [text]. The texts are every scalar of the list in every place of the
// list, texts of several lines, then COUNT random documents.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strconv"
	"strings"

	goyaml "go.yaml.in/yaml/v2"
	"sigs.k8s.io/yaml"
)

var scalars = strings.Split(`yes|Yes|YES|no|NO|on|On|off|OFF|y|Y|n|N|true|True|TRUE|tRue|false|null|Null|NULL|~|nuLL|0755|010|08|09|0o17|0O17|00|0|-0|+1|-010|0x1F|0X1F|0x|-0x1f|0b11|0B11|1_000|1__0|_1|1_|0_7|0x_1|12:30:45|1:30|190:20:30|2001-12-14|2001-12-14T21:59:43.10-05:00|2001-12-14 21:59:43|.inf|-.inf|+.Inf|.INF|.nan|.NaN|1e400|-1e400|1e3|1E3|1e+3|1e-3|1.|.5|-.5|+.5|1.5|1.50|1.0|1e2|12e03|0.1|1.2.3|1e|e1|.|..|-|--|+|9223372036854775807|9223372036854775808|-9223372036854775808|-9223372036854775809|18446744073709551615|18446744073709551616|123456789012345678901234567890|0777777777777777777777|01777777777777777777777|1.7976931348623157e308|5e-324|1e-400|0.1e1|00.5|01.5|-1|- 1|"yes"|'010'|"\u0041"|"\x41"|"\ud83d\ude00"|"\ud83d"|"\U0001F600"|"a\
  b"|!!str 5|!!str yes|!!int "5"|!!int 5|!!int x|!!float 1|!!float "1.5"|!!bool yes|!!bool "yes"|!!null ~|!!null ""|!!binary aGk=|!!binary "***"|!!timestamp 2001-12-14|! 5|!custom x|!!set {a}|=|<<|@a|%a|a b|a: b|a #b|a#b|é|x y z|'it''s'|"a\tb"|"\e"|"\/"|"\q"|#x|&a b|*a|{}|[]|{a: 1}|{a}|{a: }|[a, b]|[a, ]|[,]|[yes, 010]|{yes: no}|{"a":1}|{"a": "b", c: d}|[[1], {a: [2]}]|`, "|")

var places = []string{
	"%s", "v: %s", "v: %s # note", "- %s", "- a: %s\n  b: 1", "%s: v", "? %s\n: v", "v: [%s]", "v: {k: %s}", "v: {%s: k}",
	"v:\n  %s", "- - %s", "a: 1\nv: %s\nz: 2", "v: &x %s\nw: *x",
}

// Texts of several lines: how they begin, what they hold, how the file ends.
var headers = []string{"|", "|-", "|+", ">", ">-", ">+", "|2", ">1-", "| # note"}

var bodies = []string{"t", "t\n  u", "t\n   u\n  v", "t\n\n  u", "\n  t", " t", "t ", "# t", "a: b", ""}

var ends = []string{"", "\n", "\n\n", "\n  ", "\n    ", "\n\n  ", "\n# note\n", "\n  # note\n"}

var pieces = []string{
	"a", "b", "c", "1", "yes", "~", ": ", ":", "- ", "-", "\n", "\n", "\n  ", "\n  ", "\n    ", " ", "#", " # c", "'", "\"", "{", "}", "[", "]", ", ",
	"|", "|-", "|+", ">", ">-", "|2", "&x ", "*x", "<<: ", "? ", "!!str ", "%", "@", "\t", "é", "\\n", "010", "1.5", "x: 1\n", "y:\n", "- z\n",
	"a: |\n  t\n   u\n", "b: >\n  v\n  w\n\n  x\n", "k: {m: n}\n", "l:\n- 1\n- 2\n", "base: &b {p: 1}\n", "use:\n  <<: *b\n", "<<: [*b, {q: 2}]\n",
}

// whole tells whether all of the text is one document: the decoder stops behind the first.
func whole(text string) bool {
	var first, second any
	decoder := goyaml.NewDecoder(strings.NewReader(text))
	err := decoder.Decode(&first)
	return errors.Is(err, io.EOF) || (err == nil && errors.Is(decoder.Decode(&second), io.EOF))
}

func record(text string) {
	line := []any{text}
	if out, err := yaml.YAMLToJSONStrict([]byte(text)); err == nil && whole(text) {
		line = append(line, json.RawMessage(out))
	}
	b, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Print(string(b))
}

func main() {
	seed, _ := strconv.ParseInt(os.Args[1], 10, 64)
	count, _ := strconv.Atoi(os.Args[2])
	seen := map[string]bool{}
	add := func(text string) {
		if seen[text] {
			return
		}
		if len(seen) == 0 {
			fmt.Print("[")
		} else {
			fmt.Print(",\n")
		}
		seen[text] = true
		record(text)
	}
	for _, scalar := range scalars {
		for _, place := range places {
			add(strings.ReplaceAll(place, "%s", scalar))
		}
	}
	for _, header := range headers {
		for _, body := range bodies {
			for _, end := range ends {
				add("v: " + header + "\n  " + body + end)
			}
		}
	}
	random := rand.New(rand.NewSource(seed))
	for range count {
		var text strings.Builder
		for range 1 + random.Intn(9) {
			text.WriteString(pieces[random.Intn(len(pieces))])
		}
		add(text.String())
	}
	fmt.Println("]")
}
