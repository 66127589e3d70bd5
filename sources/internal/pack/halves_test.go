package pack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A pack without its index is told once it is too old to be written still, an index
// without its pack at once.
func TestHalves(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "pack")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, age time.Duration) {
		p := filepath.Join(folder, name)
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(p, when, when); err != nil {
			t.Fatal(err)
		}
	}
	write("pack-new.pack", 0)
	write("pack-old.pack", 2*halfPack)
	write("pack-alone.idx", 0)
	write("tmp_pack_x", 2*halfPack)
	_, bad := Open([]string{dir}, Options{})
	var got []string
	for _, err := range bad {
		got = append(got, err.Error())
	}
	all := strings.Join(got, "\n")
	if len(bad) != 2 || !strings.Contains(all, "pack-old.pack: its index is missing") || !strings.Contains(all, "pack-alone.idx: the pack of this index is missing") {
		t.Errorf("told: %s", all)
	}
}
