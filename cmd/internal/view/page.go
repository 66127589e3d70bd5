package view

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cli/browser"

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
	"github.com/quench-dev/quench/scanner/report"
)

// Page says what reports to show, and where.
type Page struct {
	// Files are the reports; "-" is Stdin.
	Files []string
	Stdin io.Reader
	// Output is the file to write; empty is one in the user's cache folder.
	Output string
	// Open starts the browser. Failing to is told on Stderr, and no error.
	Open           bool
	Stdout, Stderr io.Writer
	ShowSecrets    bool
	Version        string
}

// Write reads the reports and writes the page, whole or not at all, for the user
// alone, and its name to Stdout.
func (p Page) Write() error {
	v := New(p.ShowSecrets)
	for _, name := range p.Files {
		if err := p.read(v, name); err != nil {
			return err
		}
	}
	if p.Output == "" {
		dir, err := os.UserCacheDir()
		if err == nil {
			p.Output = filepath.Join(dir, "quench", "view.html")
			err = os.MkdirAll(filepath.Dir(p.Output), 0o700)
		}
		if err != nil {
			return fmt.Errorf("making a folder for the page; name a file by --output: %w", err)
		}
	}
	w, err := atomicfile.Create(p.Output)
	if err != nil {
		return fmt.Errorf("creating the page %q: %w", p.Output, err)
	}
	if err := report.WriteHTML(w, "Quench: "+strings.Join(p.Files, ", "), v.Findings, v.Coverage, p.Version); err != nil {
		return errors.Join(fmt.Errorf("writing the page %q: %w", p.Output, err), w.Discard())
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("writing the page %q: %w", p.Output, err)
	}
	fmt.Fprintln(p.Stdout, p.Output)
	if !p.Open {
		return nil
	}
	browser.Stdout, browser.Stderr = io.Discard, io.Discard
	if err := browser.OpenFile(p.Output); err != nil {
		fmt.Fprintf(p.Stderr, "quench: no browser could be started (%v); open %s yourself\n", err, p.Output)
	}
	return nil
}

func (p Page) read(v *Report, name string) error {
	if name == "-" {
		return v.Read("standard input", p.Stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("opening the report: %w", err)
	}
	defer f.Close()
	return v.Read(name, f)
}
