package hook

import (
	"reflect"
	"strings"
	"testing"
)

const (
	zero = "0000000000000000000000000000000000000000"
	one  = "1111111111111111111111111111111111111111"
	two  = "2222222222222222222222222222222222222222"
)

func TestParseRefs(t *testing.T) {
	refs, err := ParseRefs(strings.NewReader("refs/heads/a " + one + " refs/heads/a " + two + "\nrefs/heads/new " + two + " refs/heads/new " + zero + "\n(delete) " + zero + " refs/heads/x " + one + "\n\n"))
	if err != nil || len(refs) != 3 || !refs[1].Creates() || !refs[2].Deletes() || refs[0].Creates() || refs[0].Deletes() {
		t.Fatalf("%+v, %v", refs, err)
	}
	tips, exclude := Pushed(refs, []string{"t"})
	if !reflect.DeepEqual(tips, []string{one, two}) || !reflect.DeepEqual(exclude, []string{two, "t"}) {
		t.Errorf("tips %v, exclude %v", tips, exclude)
	}
	for _, bad := range []string{"x", "a b c d", "refs/heads/a " + one + " refs/heads/a", "a " + one + " b " + strings.ToUpper("abcdef") + one[6:], strings.Repeat("x", 20<<10)} {
		if _, err := ParseRefs(strings.NewReader(bad + "\n")); err == nil {
			t.Errorf("%.40q was read", bad)
		}
	}
	if refs, err := ParseRefs(strings.NewReader("")); err != nil || refs != nil {
		t.Errorf("nothing: %v, %v", refs, err)
	}
}

// The name of a remote comes from git's command line and is no option and no
// pattern.
func TestTrackingOfAddresses(t *testing.T) {
	for _, remote := range []string{"", "https://example.com/x.git", "git@example.com:x", "--upload-pack=x", "/srv/x.git", "../x", "a*"} {
		if ids, err := Tracking(t.TempDir(), remote); err != nil || ids != nil {
			t.Errorf("%q: %v, %v", remote, ids, err)
		}
	}
}

func FuzzParseRefs(f *testing.F) {
	f.Add("refs/heads/a " + one + " refs/heads/a " + zero + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		refs, err := ParseRefs(strings.NewReader(s))
		if err != nil && refs != nil {
			t.Error("refs beside an error")
		}
		for _, r := range refs {
			if !isID(r.LocalID) || !isID(r.RemoteID) {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestParseReceived(t *testing.T) {
	tips, err := ParseReceived(strings.NewReader(zero + " " + one + " refs/heads/new\n" + one + " " + zero + " refs/heads/gone\n" + one + " " + two + " refs/heads/x\n"))
	if err != nil || !reflect.DeepEqual(tips, []string{one, two}) {
		t.Errorf("%v, %v", tips, err)
	}
	for _, bad := range []string{"x", one + " " + two, one + " refs/heads/x " + two, one + " " + two + " ", one + " " + two + " refs/heads/a b"} {
		if tips, err := ParseReceived(strings.NewReader(bad + "\n")); err == nil || tips != nil {
			t.Errorf("%.40q was read", bad)
		}
	}
}

func FuzzParseReceived(f *testing.F) {
	f.Add(zero + " " + one + " refs/heads/a\n")
	f.Fuzz(func(t *testing.T, s string) {
		tips, err := ParseReceived(strings.NewReader(s))
		if err != nil && tips != nil {
			t.Error("ids beside an error")
		}
		for _, id := range tips {
			if !isID(id) || isZero(id) {
				t.Errorf("%q", id)
			}
		}
	})
}

func TestKinds(t *testing.T) {
	for _, k := range Kinds {
		if got, err := Named(k.Name); err != nil || got.Name != k.Name || k.Event == "" || k.Advice == "" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if _, err := Named("post-merge"); err == nil {
		t.Error("post-merge is known")
	}
}
