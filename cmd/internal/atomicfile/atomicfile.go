// Package atomicfile writes files whole or not at all, on every system Quench
// builds for. A reader, or a machine that loses power, sees the old file or the
// new one. It knows nothing of what is in them. Start reading at Create.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file in the making beside the one it will replace.
type File struct {
	*os.File
	path    string
	through bool // it is what path names, and nothing is replaced
}

// Create makes an empty file, readable by its owner alone, that Commit puts in
// the place of path. Close it with Commit or Discard. What is no file, such as a
// device or a named pipe, is written to as it is: put in its place, a report for
// /dev/null would be in everybody's way.
func Create(path string) (*File, error) {
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() && !fi.IsDir() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		return &File{File: f, path: path, through: true}, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, about(path, err)
	}
	return &File{File: f, path: path}, nil
}

// about makes an error one of the file that is meant: the other's name is another each
// time, and so would be what is told once.
func about(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return &fs.PathError{Op: p.Op, Path: path, Err: p.Err}
	}
	return err
}

// Commit brings what was written to disk and puts it in place.
func (f *File) Commit() error {
	if f.through {
		return f.Close()
	}
	err := about(f.path, f.Sync())
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("putting %q in place: %w", f.path, err), f.Discard())
	}
	syncDir(filepath.Dir(f.path))
	return nil
}

// Discard removes what was written.
func (f *File) Discard() error {
	f.Close()
	if f.through {
		return nil
	}
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Write replaces path by b.
func Write(path string, b []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(about(path, err), f.Discard())
	}
	return f.Commit()
}

// syncDir makes a rename durable where folders can be synced; elsewhere the
// system orders it by itself.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}
