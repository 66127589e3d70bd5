//go:build !purego

package runs

func setVBMI(on bool) { vbmi = on }
