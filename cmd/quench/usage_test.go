package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/country/countrytest"
	"github.com/quench-dev/quench/registry/review"
)

// mmdb FILE NETWORK=COUNTRY… makes a country database; accesslog FILE TOKEN DAYS
// ADDRESS… a log of nginx: a use every hour of the last DAYS from the first address,
// and one just now from each of the others. now NAME sets NAME to the time, and
// reviewsince TIME FILE writes to FILE what token review says where unused is what was
// not used since: a --unused of the command line would count from its start, which a
// script does not know.
func init() {
	scriptCmds["now"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Setenv(args[0], time.Now().Format(time.RFC3339Nano))
	}
	scriptCmds["reviewsince"] = scriptReviewSince
	scriptCmds["mmdb"] = func(ts *testscript.TestScript, _ bool, args []string) {
		places := map[string]countrytest.Place{}
		for _, a := range args[1:] {
			network, iso, _ := strings.Cut(a, "=")
			places[network] = countrytest.Place{ISO: iso}
		}
		ts.Check(countrytest.Write(ts.MkAbs(args[0]), "Test-Country", places))
	}
	scriptCmds["accesslog"] = func(ts *testscript.TestScript, _ bool, args []string) {
		days, err := strconv.Atoi(args[2])
		ts.Check(err)
		var b strings.Builder
		now := time.Now()
		line := func(at time.Time, addr string) {
			fmt.Fprintf(&b, "%s - - [%s] \"GET /items/%d?page=2 HTTP/1.1\" 200 10 \"-\" \"curl/8\" \"%s\"\n", addr, at.Format("02/Jan/2006:15:04:05 -0700"), at.Unix(), args[1])
		}
		for h := days * 24; h > 0; h-- {
			line(now.Add(-time.Duration(h)*time.Hour), args[3])
		}
		for _, a := range args[4:] {
			line(now, a)
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
	}
}

func scriptReviewSince(ts *testscript.TestScript, _ bool, args []string) {
	since, err := time.Parse(time.RFC3339Nano, args[0])
	ts.Check(err)
	now := time.Now()
	ctx := context.Background()
	r, err := registry.Open(ctx, registry.Options{Path: registry.DefaultPath(ts.Getenv), Pepper: registry.PepperFrom(ts.Getenv), Now: func() time.Time { return now }})
	ts.Check(err)
	defer r.Close()
	all, _, _, err := review.Registry(ctx, r, review.Options{Unused: r.Now().Sub(since)})
	ts.Check(err)
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "%s %v unused %v, of %v; %s\n", a.Token.Purpose, a.Kinds, a.Unused, a.Broad, a.Command)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}
