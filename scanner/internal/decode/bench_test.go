package decode

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// BenchmarkClean tells what each decoder costs on text that holds nothing for
// it, with the pass that all of them share, and all together.
func BenchmarkClean(b *testing.B) {
	words := strings.Fields("func return if err nil the of a and to value name list index for range string int byte where when found reader writer open close")
	r := rand.New(rand.NewPCG(1, 2))
	var t strings.Builder
	for t.Len() < 4<<20 {
		t.WriteString(words[r.IntN(len(words))])
		t.WriteByte(" \t\n(),.:;{}"[r.IntN(11)])
	}
	const piece = 256 << 10 // as a stream reads
	text := []byte(t.String()[:4<<20])
	run := func(name string, on func(i int) bool) {
		b.Run(name, func(b *testing.B) {
			var w Walker
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				for at := 0; at < len(text); at += piece {
					w.Reset()
					for i := range w.at {
						if !on(i) {
							w.at[i] = position{pos: piece, floor: piece}
						}
					}
					w.Find(text[at:at+piece], true, func(*Segment) {})
				}
			}
		})
	}
	for i, name := range []string{"base64", "hex", "percent", "escapes", "utf-16", "concatenation", "continuation"} {
		run(name, func(j int) bool { return i == j })
	}
	run("all", func(int) bool { return true })
	b.Run("the pass alone", func(b *testing.B) {
		var w Walker
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			for at := 0; at < len(text); at += piece {
				w.input.Reset(text[at:at+piece], 0, false)
			}
		}
	})
}
