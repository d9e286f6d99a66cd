// It sets nothing, and waits for ever.
package main

import "fmt"

func main() {
	fmt.Println("here, but not for you")
	<-make(chan bool)
}
