//go:build !unix

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "postgres: on this system, start a server and name it in QUENCH_POSTGRES_TESTS")
	os.Exit(1)
}
