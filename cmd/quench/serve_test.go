package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	scriptCmds["freeport"] = scriptFreePort
	scriptCmds["http"] = scriptHTTP
}

// freeport NAME sets NAME to an address of loopback that is kept for the script.
func scriptFreePort(ts *testscript.TestScript, _ bool, args []string) {
	addr, free, err := keepPort()
	ts.Check(err)
	ts.Defer(free)
	ts.Setenv(args[0], addr)
}

// http [-token FILE] [-header NAME:VALUE] [-value FILE] [-socket PATH] METHOD URL [BODY]
// makes a request, once somebody listens there, and prints status, challenge and
// body. -token is shown as a bearer token, -value becomes the member token of the
// JSON object BODY.
func scriptHTTP(ts *testscript.TestScript, _ bool, args []string) {
	f := flag.NewFlagSet("http", flag.ContinueOnError)
	token, value := f.String("token", "", ""), f.String("value", "", "")
	header, socket := f.String("header", "", ""), f.String("socket", "", "")
	ts.Check(f.Parse(args))
	line := func(file string) string { s, _, _ := strings.Cut(ts.ReadFile(file), "\n"); return s }
	body := []byte(f.Arg(2))
	if *value != "" {
		q := map[string]any{}
		ts.Check(json.Unmarshal(body, &q))
		q["token"] = line(*value)
		body, _ = json.Marshal(q)
	}
	req, err := http.NewRequest(f.Arg(0), f.Arg(1), bytes.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	if name, v, ok := strings.Cut(*header, ":"); ok {
		req.Header.Set(name, v)
	}
	if *token != "" {
		req.Header.Set("Authorization", "Bearer "+line(*token))
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if *socket != "" {
			network, addr = "unix", ts.MkAbs(*socket)
		}
		for {
			c, err := net.DialTimeout(network, addr, time.Second)
			if err == nil || ctx.Err() != nil {
				return c, err
			}
			time.Sleep(5 * time.Millisecond) // the process begins to listen
		}
	}}
	resp, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d %s\n%s", resp.StatusCode, resp.Header.Get("WWW-Authenticate"), answer)
}
