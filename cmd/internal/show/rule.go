package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// RuleRow is a rule as --format json prints it.
type RuleRow struct {
	ID             string           `json:"id"`
	Provider       string           `json:"provider"`
	ProviderName   string           `json:"provider_name"`
	Description    string           `json:"description"`
	Confidence     rules.Confidence `json:"confidence"`
	Kind           rules.Kind       `json:"kind"`
	Words          []string         `json:"words,omitempty"`
	Keywords       []string         `json:"keywords"`
	Pattern        string           `json:"pattern,omitempty"`
	Group          int              `json:"secret_group,omitempty"`
	Entropy        float64          `json:"entropy,omitempty"`
	Shape          string           `json:"shape,omitempty"`
	Boundary       string           `json:"boundary"`
	BoundaryBefore string           `json:"boundary_before"`
	StopWords      []string         `json:"stop_words,omitempty"`
	Paths          []string         `json:"paths,omitempty"`
	ExcludePaths   []string         `json:"exclude_paths,omitempty"`
	Overlaps       []string         `json:"overlaps,omitempty"`
	Width          int              `json:"width,omitempty"`
	Multiline      bool             `json:"multiline"`
	Slow           bool             `json:"slow"`
	Reference      string           `json:"reference,omitempty"`
}

// NewRuleRow is the row of r.
func NewRuleRow(r *rules.Rule) RuleRow {
	return RuleRow{r.ID, r.Provider, r.ProviderName, r.Description, r.Confidence, r.Kind, r.Words, r.Keywords, r.Pattern, r.Group, r.Entropy, r.Shape,
		r.Boundary, r.BoundaryBefore, r.StopWords, r.Paths, r.ExcludePaths, r.Overlaps, r.Width, r.Multiline, r.Slow(), r.Reference}
}

// Rules writes a table of rules. On a terminal of width columns it leaves out the
// provider, with which ids begin, and breaks descriptions; elsewhere, where width is
// 0, a rule is a line.
func Rules(out io.Writer, rows []RuleRow, width int) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if width == 0 {
		fmt.Fprintln(w, "ID\tPROVIDER\tCONFIDENCE\tDESCRIPTION")
		for _, r := range rows {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.ID, r.Provider, r.Confidence, r.told())
		}
		return w.Flush()
	}
	longest := len("ID")
	for _, r := range rows {
		longest = max(longest, len(r.ID))
	}
	left := max(width-longest-len("medium")-4, 20)
	fmt.Fprintln(w, "ID\tSURE\tDESCRIPTION")
	for _, r := range rows {
		id, sure := r.ID, string(r.Confidence)
		for _, line := range fold(r.told(), left) {
			fmt.Fprintf(w, "%s\t%s\t%s\n", id, sure, line)
			id, sure = "", ""
		}
	}
	return w.Flush()
}

// told is the description, and what a reader of a list must know of the rule.
func (r RuleRow) told() string {
	if r.Slow {
		return r.Description + " (slow)"
	}
	return r.Description
}

// fold breaks a text into lines of at most width columns: at spaces, and words that are
// longer anywhere.
func fold(s string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(s) {
		for len(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			lines, word = append(lines, word[:width]), word[width:]
		}
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// Similar names rules whose id or provider holds a word of id.
func Similar(set *rules.Set, id string) string {
	var ids []string
	for _, r := range set.Rules() {
		for word := range strings.SplitSeq(id, "-") {
			if len(word) > 2 && strings.Contains(r.ID, strings.ToLower(word)) && len(ids) < 8 {
				ids = append(ids, r.ID)
				break
			}
		}
	}
	if len(ids) == 0 {
		return "quench rules list shows all"
	}
	return "similar are " + strings.Join(ids, ", ")
}

// Rule writes a rule, how it is decided, and a made-up example, masked. On a terminal
// of width columns long values are broken; elsewhere, where width is 0, each is a line.
func Rule(out io.Writer, set *rules.Set, r *rules.Rule, width int) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value == "" || value == "0" {
			return
		}
		lines := []string{value}
		if left := width - len("longest match") - 2; left > 0 {
			lines = fold(value, left)
		}
		for _, line := range lines {
			fmt.Fprintf(w, "%s\t%s\n", name, line)
			name = ""
		}
	}
	row("id", r.ID)
	row("description", r.Description)
	row("provider", fmt.Sprintf("%s (%s)", r.ProviderName, r.Provider))
	row("confidence", string(r.Confidence))
	row("keywords", strings.Join(r.Keywords, "  "))
	row("words", strings.Join(r.Words, "  "))
	row("pattern", r.Pattern)
	row("secret group", fmt.Sprint(r.Group))
	if r.Kind != rules.KindAssignment {
		row("not after", r.BoundaryBefore)
		row("not before", r.Boundary)
	}
	if r.Kind == rules.KindPattern {
		row("longest match", fmt.Sprintf("%d bytes", r.Width))
	}
	if r.Entropy > 0 {
		row("entropy", fmt.Sprintf("at least %v bits per character", r.Entropy))
	}
	if r.Shape != "" {
		row("shape", r.Shape+": "+rules.ShapeDoc(r.Shape))
	}
	row("stop words", strings.Join(r.StopWords, "  "))
	row("paths", strings.Join(r.Paths, "  "))
	row("not in paths", strings.Join(r.ExcludePaths, "  "))
	row("partner", r.Partner)
	row("overlaps", strings.Join(r.Overlaps, "  "))
	row("decided", lane(r))
	row("reference", r.Reference)
	ex, err := maskedExample(set, r)
	if err != nil {
		return err
	}
	row("example", ex)
	return w.Flush()
}

// lane says in words how the scanner decides a rule.
func lane(r *rules.Rule) string {
	switch {
	case r.Kind == rules.KindAssignment:
		return "from the value backwards: an assigned value whose name holds a keyword"
	case r.Kind == rules.KindContext:
		return fmt.Sprintf("on the line of a keyword, within %d bytes of it: a value of the pattern given to a name that holds one of the words", rules.ContextReach)
	case r.Slow():
		return "slow lane: it has no keywords, so each line is searched with the pattern (some 3 s of CPU for each GB, twice what all other rules take)"
	case r.Multiline:
		return "at each keyword, over several lines"
	case r.Prefixed:
		return "at each keyword, with which every match begins"
	}
	return "around each keyword, within its line"
}

// maskedExample is the first line of the first example with its secrets masked.
func maskedExample(set *rules.Set, r *rules.Rule) (string, error) {
	examples, _, err := r.ExpandExamples()
	if err != nil {
		return "", err
	}
	eng, err := scanner.New(set, scanner.Options{DecodeDepth: -1})
	if err != nil {
		return "", err
	}
	masked := ""
	for _, m := range eng.ScanBytes([]byte(examples[0])) {
		if m.Rule == r {
			masked = m.Masked
		}
	}
	return masked, eng.Err()
}
