// Command words makes the word list of package score.
//
//	go run ./scanner/internal/score/words > scanner/internal/score/words.txt
//
// The words are those of the Go tree's sources, comments and identifiers alike,
// taken apart at case, digits and underscores: English and the jargon of programs,
// under Go's own licence. A word counts once for each folder it stands in; those
// of at least -folders folders are kept, sorted, so that the list changes little from
// one Go version to the next. It knows nothing of secrets; start reading at main.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"go/build"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

func main() {
	folders := flag.Int("folders", 6, "least number of folders a word stands in")
	flag.Parse()
	count := map[string]int{}
	src := filepath.Join(build.Default.GOROOT, "src")
	seen := map[[2]string]bool{}
	err := filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.Contains(path, "testdata") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		for w := range words(string(text)) {
			if k := [2]string{dir, w}; !seen[k] {
				seen[k] = true
				count[w]++
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(fmt.Errorf("reading the Go tree: %w", err))
	}
	var out []string
	for w, n := range count {
		// Short words are found in random letters: they must be common ones.
		least := *folders * map[int]int{3: 20, 4: 3}[min(len(w), 5)]
		if n >= max(least, *folders) {
			out = append(out, w)
		}
	}
	sort.Strings(out)
	b := bufio.NewWriter(os.Stdout)
	for _, w := range out {
		fmt.Fprintln(b, w)
	}
	if err := b.Flush(); err != nil {
		log.Fatal(err)
	}
}

// words gives the words of 3 to 14 letters in text, in lower case.
func words(text string) map[string]bool {
	out := map[string]bool{}
	from := 0
	cut := func(to int) {
		if n := to - from; n >= 3 && n <= 14 {
			out[strings.ToLower(text[from:to])] = true
		}
		from = to
	}
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z':
			if i-from > 1 && upper(text[i-1]) && upper(text[i-2]) { // HTTPServer
				cut(i - 1)
			}
		case upper(c):
			if i > 0 && !upper(text[i-1]) {
				cut(i)
			}
		default:
			cut(i)
			from = i + 1
		}
	}
	cut(len(text))
	return out
}

func upper(c byte) bool { return 'A' <= c && c <= 'Z' }
