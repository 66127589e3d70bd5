//go:build !unix

package clone

import "os/exec"

// grouped leaves the default, which ends git; its children end with their pipes.
func grouped(*exec.Cmd) {}
