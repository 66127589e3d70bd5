package store

import (
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"testing"
)

// Every migration has its twin: the number is one and the same schema on both.
func TestTwins(t *testing.T) {
	names := func(folder string) (all []string) {
		list, err := fs.Glob(migrationFiles, folder+"/*")
		if err != nil || len(list) == 0 {
			t.Fatal(folder, err)
		}
		for _, name := range list {
			all = append(all, path.Base(name))
		}
		return all
	}
	if a, b := names("migrations/sqlite"), names("migrations/postgres"); !slices.Equal(a, b) {
		t.Errorf("migrations of SQLite %v, of PostgreSQL %v", a, b)
	}
	lost, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(lost) > 0 {
		t.Errorf("%v, %v: a migration lies in sqlite/ and in postgres/", lost, err)
	}
}
