// Command quench finds leaked secrets, knows which of them are tokens you
// issued, and revokes those.
//
// This package is the thin outer layer: one file per subcommand that reads
// flags and calls the packages below. Start reading at root.go.
package main

import "os"

func main() {
	os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
