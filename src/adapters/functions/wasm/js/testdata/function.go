// A function in kpt's own form. What it does is asked for by the first word after "do:" in the list.
package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"syscall"
	"syscall/js"
	"time"
)

var failures string

func main() {
	fmt.Println("begun", os.Args, len(os.Environ()))
	js.Global().Set("processResourceList", js.FuncOf(func(this js.Value, args []js.Value) any {
		list := args[0].String()
		_, rest, _ := strings.Cut(list, "do: ")
		word, _, _ := strings.Cut(rest, "\n")
		return do(strings.TrimSpace(word), list)
	}))
	js.Global().Set("processResourceListErrors", js.FuncOf(func(this js.Value, args []js.Value) any {
		return failures
	}))
	<-make(chan bool)
}

func answer(value any) string {
	text, err := json.Marshal(map[string]any{"kind": "ResourceList", "answer": value})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func do(word, list string) any {
	switch word {
	case "echo":
		return list
	case "change":
		return strings.ReplaceAll(list, "old", fmt.Sprintf("%s-%d", "new", 7))
	case "print":
		fmt.Println("one")
		fmt.Fprintln(os.Stderr, "two")
		js.Global().Get("console").Call("log", "three", 4, true)
		return list
	case "panic":
		var none map[string]int
		none["x"] = 1
	case "fail":
		failures = "no such thing"
		return "cannot do it"
	case "number":
		return 1.5
	case "nothing":
		return nil
	case "exit":
		os.Exit(7)
	case "leave":
		os.Exit(0)
	case "spin":
		for i := 0; ; i++ {
			if i < 0 {
				return i
			}
		}
	case "memory":
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
		}
	case "values":
		array := js.Global().Get("Array").New()
		for i := 0; ; i++ {
			array.SetIndex(i, js.Global().Get("Uint8Array").New(1<<16))
		}
	case "garbage":
		for i := 0; i < 300; i++ {
			js.Global().Get("Uint8Array").New(1 << 16).SetIndex(0, i)
		}
		return list
	case "deadlock":
		<-make(chan bool)
	case "deep":
		return answer(deep(5000))
	case "nested":
		return answer(nested(50))
	case "bottomless":
		return answer(nested(1000))
	}
	return more(word)
}

func more(word string) any {
	switch word {
	case "sleep":
		began := time.Now()
		time.Sleep(48 * time.Hour)
		return answer(time.Since(began) >= 48*time.Hour && time.Since(began) < 49*time.Hour)
	case "goroutines":
		return answer(goroutines())
	case "file":
		_, err := os.ReadFile("/etc/passwd")
		_, other := os.Getwd()
		missing := os.WriteFile("/tmp/x", []byte("x"), 0o600)
		all := []bool{errors.Is(err, syscall.ENOSYS), errors.Is(other, syscall.ENOSYS), errors.Is(missing, syscall.ENOSYS)}
		return answer([]any{all, strings.Replace(err.Error(), syscall.ENOSYS.Error(), "ENOSYS", 1), os.Getuid()})
	case "rand":
		var dice [16]byte
		rand.Read(dice[:])
		other := js.Global().Get("Uint8Array").New(4)
		js.Global().Get("crypto").Call("getRandomValues", other)
		return answer([]any{dice, other.Index(0).Int(), other.Index(3).Int(), time.Now().UTC().Year()})
	case "zone":
		return answer(time.Unix(0, 0).Local().String())
	case "absent":
		nowhere := js.Global().Get("nowhere")
		return answer([]any{nowhere.IsUndefined(), nowhere.String(), js.Global().Get("fetch").Type().String()})
	case "call-absent":
		js.Global().Call("nowhere")
	case "get-of-nothing":
		js.Global().Get("nowhere").Get("deeper")
	case "script":
		return answer(script())
	}
	return answer("unknown " + word)
}

func goroutines() int {
	var group sync.WaitGroup
	numbers := make(chan int, 4)
	for i := range 40 {
		group.Go(func() {
			time.Sleep(time.Duration(i%7) * time.Millisecond)
			fmt.Fprintln(os.Stderr, "worker")
			numbers <- i
		})
	}
	go func() { group.Wait(); close(numbers) }()
	sum := 0
	for number := range numbers {
		sum += number
	}
	return sum
}

func deep(left int) int {
	if left == 0 {
		return 0
	}
	return 1 + deep(left-1)
}

func nested(left int) int {
	if left == 0 {
		return 0
	}
	call := js.FuncOf(func(this js.Value, args []js.Value) any { return 1 + nested(args[0].Int()) })
	defer call.Release()
	return call.Invoke(left - 1).Int()
}

func caught(what func()) (said string) {
	defer func() { said = fmt.Sprint(recover()) }()
	what()
	return "nothing"
}

// What programs do with values of JavaScript.
func script() []any {
	global := js.Global()
	object := js.ValueOf(map[string]any{"a": 1, "b": []any{"x", nil, true, 2.5}})
	object.Set("c", object)
	object.Delete("a")
	array := object.Get("b")
	array.SetIndex(6, "far")
	bytes := global.Get("Uint8Array").New(array)
	bytes.SetIndex(0, 258)
	bytes.SetIndex(5, -1.5)
	bytes.SetIndex(6, 1e300)
	bytes.SetIndex(70, 1)
	copied := make([]byte, 3)
	small := global.Get("Uint8Array").New(2)
	sum := js.FuncOf(func(this js.Value, args []js.Value) any {
		return this.Get("base").Int() + args[0].Int() + len(args)
	})
	holder := global.Get("Object").New()
	holder.Set("base", 100)
	holder.Set("sum", sum)
	failure := global.Get("Error").New("bad")
	return []any{
		object.Get("a").IsUndefined(), object.Get("c").Equal(object), array.Length(), array.Index(4).IsUndefined(),
		array.Index(6).String(), array.Index(1).IsNull(), array.Index(3).Float(), array.Index(-1).IsUndefined(),
		bytes.Length(), bytes.Index(0).Int(), bytes.Index(2).Int(), bytes.Index(3).Int(), bytes.Index(5).Int(), bytes.Index(6).Int(), js.CopyBytesToGo(copied, bytes), copied,
		js.CopyBytesToJS(small, []byte("abcdef")), small.Index(1).Int(), small.Get("byteLength").Int(),
		holder.Call("sum", 5, 6).Int(), sum.Type().String(), object.Type().String(), js.ValueOf("x").Type().String(),
		failure.Get("message").String(), failure.InstanceOf(global.Get("Error")), array.InstanceOf(global.Get("Array")),
		bytes.InstanceOf(global.Get("Object")), object.InstanceOf(global.Get("Array")), global.Get("Object").Call("keys", holder).Length(),
		js.ValueOf(1e21).String(), js.ValueOf(1e-7).String(), js.ValueOf(0.1).String(), js.ValueOf(-1234567.25).String(),
		js.ValueOf(math.NaN()).String(), js.ValueOf(math.Inf(-1)).String(), js.ValueOf(math.Copysign(0, -1)).String(), js.ValueOf(1e20).String(),
		js.ValueOf("same").Equal(js.ValueOf("same")), js.ValueOf("same").Equal(js.ValueOf("other")), js.ValueOf(false).Truthy(),
		js.ValueOf("a\xffb€😀").String(), global.Get("Array").New(3).Length(), global.Get("Array").New(3, 4).Length(),
		caught(func() { global.Call("nowhere") }), caught(func() { global.Get("Array").New(-1) }) != "nothing",
		caught(func() { js.ValueOf("x").Get("y") }), caught(func() { js.ValueOf(1).Invoke() }), caught(func() { holder.Get("base").New() }),
		caught(func() { js.CopyBytesToGo(copied, array) }), caught(func() { holder.Call("base") }),
	}
}
