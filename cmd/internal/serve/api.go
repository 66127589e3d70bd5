package serve

import (
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/httpauth"
	"github.com/quench-dev/quench/scanner/secret"
)

// maxBody is the longest question: a token of the longest kind (4 KB), and what may
// be told of a use, many times.
const maxBody = 64 << 10

// Scope is what a caller's token must have.
const Scope = "verify:registry"

// openapi describes the service; a test holds it against what is read and written.
//
//go:embed openapi.json
var openapi []byte

// handler is the whole service.
func (o *options) handler(r *registry.Registry, log *slog.Logger, more map[string]http.Handler) (http.Handler, error) {
	api := &api{r, log}
	var verify http.Handler = http.HandlerFunc(api.verify)
	if o.socket == "" {
		clients, err := o.clients()
		if err != nil {
			return nil, err
		}
		auth, err := httpauth.New(httpauth.Options{Verifier: r, Scope: Scope, Realm: "quench", Client: clients, Log: log})
		if err != nil {
			return nil, err
		}
		verify = auth(verify)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/verify", verify)
	for pattern, h := range more { // each proves by itself who calls
		mux.Handle(pattern, h)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", api.ready)
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(openapi)
	})
	return harden(mux), nil
}

// harden sets what every answer has.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

type api struct {
	r   *registry.Registry
	log *slog.Logger
}

// problem is an error as RFC 9457 has it. It repeats nothing of a request.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

func fail(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(problem{http.StatusText(status), status, detail}) // the caller has gone
}

// verify answers POST /v1/verify.
func (a *api) verify(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, "the body must be application/json")
		return
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	var q httpauth.Question
	err := d.Decode(&q)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("more than one value")
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		fail(w, http.StatusRequestEntityTooLarge, "the body is longer than any question; a token has 4096 bytes at most")
		return
	case err != nil: // its text may hold what was sent
		fail(w, http.StatusBadRequest, "the body is not one JSON object with the fields of /openapi.json")
		return
	case q.Token == "":
		fail(w, http.StatusUnprocessableEntity, "no token")
		return
	}
	v, err := a.r.Verify(r.Context(), secret.NewString(q.Token), q.Use())
	switch {
	case errors.Is(err, registry.ErrInvalid): // it names the scope or country, and no token
		fail(w, http.StatusUnprocessableEntity, err.Error())
		return
	case err != nil:
		a.log.Error("a token could not be verified", "error", err)
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, "the registry gives no answer; treat the token as refused")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		a.log.Warn("an answer could not be sent", "error", err)
	}
}

// ready answers GET /readyz: whether the database can be read.
func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	if err := a.r.Ready(r.Context()); err != nil {
		a.log.Error("not ready", "error", err)
		fail(w, http.StatusServiceUnavailable, "the registry cannot be read")
		return
	}
	io.WriteString(w, "ready\n")
}
