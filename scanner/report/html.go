package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"

	"github.com/quench-dev/quench/scanner"
)

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
)

// html is one page that needs nothing beside itself: data, style and script are in
// it, and its content policy forbids it to load or send anything. It is written at
// the end.
type html struct {
	w    io.Writer
	o    Options
	recs []Record
}

func newHTML(w io.Writer, o Options) Writer { return &html{w: w, o: o} }

func (h *html) Finding(f scanner.Finding) error {
	h.recs = append(h.recs, record(f, h.o))
	return nil
}

func (h *html) Close(c scanner.Coverage, t Totals) error {
	cov := coverageRecord(c, t)
	return WriteHTML(h.w, "Quench report", h.recs, &cov, h.o.Version)
}

// pageData is what the script reads. What a finding says is text there, never
// markup: the script makes nodes of it and sets their text.
type pageData struct {
	Findings []Record        `json:"findings"`
	Coverage *CoverageRecord `json:"coverage,omitempty"`
}

// WriteHTML writes records as one page of HTML. cov is nil where what was covered is
// not known, as of a report that says nothing about it.
func WriteHTML(w io.Writer, title string, recs []Record, cov *CoverageRecord, version string) error {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return err
	}
	if recs == nil {
		recs = []Record{}
	}
	b, err := json.Marshal(pageData{recs, cov}) // it escapes <, > and &: nothing ends the script element early
	if err != nil {
		return err
	}
	return t.Execute(w, map[string]any{
		"Title": title, "Version": version, "Verdict": verdict(len(recs), cov), "Findings": recs[:min(len(recs), noScriptRows)], "More": max(0, len(recs)-noScriptRows),
		"CSS": template.CSS(pageCSS), "JS": template.JS(pageJS), "Data": template.JS(b),
		"Policy": fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; base-uri 'none'; form-action 'none'", hash(pageCSS), hash(pageJS)),
	})
}

// noScriptRows are listed for readers without scripts; the script shows all.
const noScriptRows = 200

// hash names an inline style or script in a content security policy (CSP 3).
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func verdict(n int, cov *CoverageRecord) string {
	s := count(n, "finding", "findings")
	switch {
	case cov == nil:
		return s + "; what was covered is not told"
	case cov.Complete:
		return s + ", complete"
	}
	return s + "; the scan is not complete"
}
