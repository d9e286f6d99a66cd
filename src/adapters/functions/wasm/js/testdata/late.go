// It sets its function after a while, and ticks for ever.
package main

import (
	"syscall/js"
	"time"
)

func main() {
	ticks := time.Tick(time.Second)
	time.Sleep(3 * time.Second)
	js.Global().Set("processResourceList", js.FuncOf(func(this js.Value, args []js.Value) any {
		return args[0]
	}))
	for range ticks {
	}
}
