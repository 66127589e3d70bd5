//go:build !amd64 || purego

package runs

const vbmi = false

func setVBMI(bool) {}
