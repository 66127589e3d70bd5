package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/go-github/v62/github"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker/internal/credential"
	"github.com/quench-dev/quench/revoker/internal/outbound"
)

// refusedError: the target answered, and will not take the message, now or later.
type refusedError struct{ why string }

func (e *refusedError) Error() string { return "it refuses the message: " + e.why }

// laterError: the target asks to be tried again after a while.
type laterError struct {
	why   string
	after time.Duration
}

func (e *laterError) Error() string { return e.why }

// send makes one message of alerts and waits until the target took it.
func (n *Notifier) send(ctx context.Context, t Target, list []alert.Alert) error {
	switch t.Kind {
	case "slack":
		return n.post(ctx, t, n.address(t), slackBody(list), nil)
	case "teams":
		return n.post(ctx, t, n.address(t), teamsBody(list), nil)
	case "webhook":
		if t.Each {
			return n.each(ctx, list, func(e event) error { return n.signed(ctx, t, e.id, e) })
		}
		return n.webhook(ctx, t, list)
	case "exec":
		return n.each(ctx, list, func(e event) error { return n.exec(ctx, t, e) })
	case "pagerduty":
		for _, a := range list { // one event each: it groups them itself
			if err := n.pagerduty(ctx, t, a); err != nil {
				return err
			}
		}
		return nil
	case "github-issue":
		return n.issue(ctx, t, list)
	case "smtp":
		return n.mail(ctx, t, list)
	case "syslog":
		return n.syslog(ctx, t, list)
	}
	return fmt.Errorf("target %q has the unknown kind %q", t.Name, t.Kind)
}

// address is a target's url, read where the policy says it is.
func (n *Notifier) address(t Target) func() (string, error) {
	return func() (string, error) {
		if !credential.OK(t.URL) {
			return t.URL, nil
		}
		s, err := credential.Read(t.URL)
		if err != nil {
			return "", fmt.Errorf("its url: %w", err)
		}
		return string(s.Reveal()), nil
	}
}

// key is a target's key.
func key(t Target) (string, error) {
	s, err := credential.Read(t.Key)
	if err != nil {
		return "", fmt.Errorf("its key: %w", err)
	}
	return string(s.Reveal()), nil
}

// client reaches the host of one address.
func (n *Notifier) client(t Target, u *url.URL) (*http.Client, error) {
	o := outbound.Options{Hosts: []string{outbound.HostPort(u)}, Dial: n.o.Dial, Lookup: n.o.Lookup}
	if t.Private {
		o.Pinned = o.Hosts
	}
	var err error
	o.RootCAs, err = roots(t)
	return outbound.Client(o), err
}

// roots are the certificates trusted for a target; nil is the system's.
func roots(t Target) (*x509.CertPool, error) {
	if t.CAFile == "" {
		return nil, nil
	}
	b, err := credential.Bounded(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("its ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("its ca_file %q holds no certificate in PEM", t.CAFile)
	}
	return pool, nil
}

// post sends JSON. Errors never repeat the address, which may be a secret.
func (n *Notifier) post(ctx context.Context, t Target, address func() (string, error), v any, sign func([]byte, http.Header) error) error {
	raw, err := address()
	if err != nil {
		return err
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return errors.New("its url is no https address")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, outbound.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(b))
	if err != nil {
		return errors.New("its url cannot be called")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "quench")
	if sign != nil {
		if err := sign(b, req.Header); err != nil {
			return err
		}
	}
	c, err := n.client(t, u)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return errors.New(outbound.Describe(err))
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, outbound.MaxAnswer)) // of one that breaks off the status counts
	status := resp.StatusCode
	if t.Kind == "teams" && status == http.StatusOK {
		status = teamsStatus(string(answer))
	}
	return n.read(status, resp.Header)
}

// teamsStatus is the status in the answer of a connector, which says 200 where Teams
// behind it refused the message, and why in words: "Microsoft Teams endpoint returned HTTP
// error 429" (connectors-using.md of the vendor's guide, "Rate limiting for connectors").
func teamsStatus(answer string) int {
	_, after, refused := strings.Cut(answer, "returned HTTP error ")
	status, err := strconv.Atoi(after[:min(3, len(after))])
	switch {
	case !refused:
		return http.StatusOK
	case err != nil:
		return http.StatusBadGateway
	}
	return status
}

// read says what an answer means. That the target is missing or refuses our key is
// no fault of the message: it is told once that is put right.
func (n *Notifier) read(status int, h http.Header) error {
	name := strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		return &refusedError{name}
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		return &laterError{"it asks to be told later: " + name, outbound.RetryAfter(h.Get("Retry-After"), n.o.Now())}
	case status >= 300 && status < 400:
		return errors.New("it redirects, which is never followed: " + name)
	}
	return errors.New("it answers " + name)
}

// obj is a JSON object.
type obj = map[string]any

// slackBody is a message of an incoming webhook, with what steers escaped:
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
// What is refused comes as 400 (the message), 403, 404 and 410 (the webhook or its
// channel) and 429 with Retry-After.
func slackBody(list []alert.Alert) any {
	esc := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	blocks := []obj{}
	for i, a := range list {
		if i == maxShown {
			blocks = append(blocks, obj{"type": "section", "text": obj{"type": "plain_text", "text": fmt.Sprintf("and %d more", len(list)-maxShown)}})
			break
		}
		// Plain text has no mentions and no links.
		blocks = append(blocks, obj{"type": "section", "text": obj{"type": "plain_text", "text": cut(text(a), 2900), "emoji": false}})
	}
	return obj{"text": esc(subject(list)), "blocks": blocks}
}

// cut bounds a text in characters; Slack takes 3,000 in a block.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// maxTeams bounds a message to Teams in bytes: it takes some 28 KB with all that is
// around it, and refuses more for good.
const maxTeams = 24 << 10

// teamsBody is an adaptive card, as workflows and connectors of Teams take it:
// https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors
// Of alerts that do not fit fewer are shown, and of one that does not its texts are cut:
// names that are anybody's to choose cannot keep an alert from being told.
func teamsBody(list []alert.Alert) any {
	shown, field := min(len(list), maxShown), maxField
	for {
		card := teamsCard(list, shown, field)
		if b, err := json.Marshal(card); err != nil || len(b) <= maxTeams || field < minField {
			return card
		}
		if shown > 1 {
			shown /= 2
		} else {
			field /= 2
		}
	}
}

// minField is where cutting a text ends, in characters: a hundred fields so long fit.
const minField = 20

func teamsCard(list []alert.Alert, shown, field int) any {
	block := func(s string) obj {
		return obj{"type": "TextBlock", "wrap": true, "text": plainMarkdown(cut(s, field))}
	}
	title := block(subject(list))
	title["size"], title["weight"] = "Medium", "Bolder"
	items := []obj{title}
	for _, a := range list[:shown] {
		facts := []obj{}
		for _, f := range fields(a) {
			facts = append(facts, obj{"title": cut(f[0], field), "value": plainMarkdown(cut(f[1], field))})
		}
		items = append(items, block(clean(a.Title)), obj{"type": "FactSet", "facts": facts}, block(clean(a.Advice)))
	}
	if len(list) > shown {
		items = append(items, block(more(list, shown)))
	}
	return obj{"type": "message", "attachments": []obj{{"contentType": "application/vnd.microsoft.card.adaptive",
		"content": obj{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": items}}}}
}

// plainMarkdown escapes what Markdown reads as links, images, emphasis, mentions.
func plainMarkdown(s string) string {
	return strings.NewReplacer("\\", "\\\\", "[", "\\[", "]", "\\]", "*", "\\*", "_", "\\_", "`", "\\`", "<", "&lt;", ">", "&gt;", "@", "@\u200b", "#", "\\#", "!", "\\!").Replace(s)
}

// webhook is one call about all alerts of a message. Its id is that of the alerts in
// it, so that a receiver takes a repeated call for what it is.
func (n *Notifier) webhook(ctx context.Context, t Target, list []alert.Alert) error {
	id := fmt.Sprintf("alerts_%d_%d_%s", list[0].ID, list[len(list)-1].ID, moment(list[0]))
	return n.signed(ctx, t, id, obj{"type": "alerts", "timestamp": n.o.Now().UTC(), "data": cleaned(list)})
}

// moment tells alerts of one number in two registries apart, for a receiver of both.
func moment(a alert.Alert) string { return strconv.FormatInt(a.At.UnixMicro(), 36) }

// signed is a call signed by the Standard Webhooks scheme.
func (n *Notifier) signed(ctx context.Context, t Target, id string, v any) error {
	secret, err := key(t)
	if err != nil {
		return err
	}
	sign, err := standardwebhooks.NewWebhook(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return errors.New("its key is not whsec_ and base64")
	}
	now := n.o.Now()
	return n.post(ctx, t, n.address(t), v, func(body []byte, h http.Header) error {
		sig, err := sign.Sign(id, now, body)
		if err != nil {
			return errors.New("the call cannot be signed with its key")
		}
		h.Set(standardwebhooks.HeaderWebhookID, id)
		h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
		h.Set(standardwebhooks.HeaderWebhookSignature, sig)
		return nil
	})
}

// cleaned are alerts as a program may show them.
func cleaned(list []alert.Alert) []alert.Alert {
	out := slices.Clone(list)
	for i := range out {
		a := &out[i]
		a.Title, a.Advice, a.Owner = clean(a.Title), clean(a.Advice), clean(a.Owner)
		details := map[string]string{}
		for k, v := range a.Details {
			details[clean(k)] = clean(v)
		}
		a.Details = details
	}
	return out
}

// pagerduty is one event, its key that of the alert, by which PagerDuty makes one incident
// of those that are told twice:
// https://developer.pagerduty.com/docs/events-api-v2-overview (202 is yes, 400 no for good,
// 429 and 5xx later; 512 KB at most), https://developer.pagerduty.com/docs/send-alert-event
func (n *Notifier) pagerduty(ctx context.Context, t Target, a alert.Alert) error {
	routing, err := key(t)
	if err != nil {
		return err
	}
	details := obj{"advice": clean(a.Advice)}
	for _, f := range fields(a) {
		details[f[0]] = f[1]
	}
	at := func() (string, error) {
		return cmp.Or(n.o.API["pagerduty"], t.URL, "https://events.pagerduty.com") + "/v2/enqueue", nil
	}
	dedup := cmp.Or(a.Key, fmt.Sprintf("alert_%d_%s", a.ID, moment(a)))
	if len(dedup) > maxDedup { // cut, it could be another's
		dedup = fmt.Sprintf("%x", sha256.Sum256([]byte(dedup)))
	}
	return n.post(ctx, t, at, obj{"routing_key": routing, "event_action": "trigger", "dedup_key": dedup, "client": "quench",
		"payload": obj{"summary": cut(clean(a.Title), 1000), "source": "quench", "severity": a.Severity, "timestamp": a.At.UTC(), "class": a.Kind, "custom_details": details}}, nil)
}

// maxDedup bounds an event's key in characters, as PagerDuty does.
const maxDedup = 255

// What GitHub takes of an issue, in characters: 256 of a title and 65,536 of a body, less
// what cut and two fences add, each no longer than the longest field. It refuses more for
// good.
const maxIssueTitle, maxIssueBody = 250, 65536 - 2*maxField - 100

// issue opens one issue for a message:
// https://docs.github.com/en/rest/issues/issues#create-an-issue
func (n *Notifier) issue(ctx context.Context, t Target, list []alert.Alert) error {
	token, err := key(t)
	if err != nil {
		return err
	}
	base, err := url.Parse(cmp.Or(n.o.API["github"], t.URL, "https://api.github.com") + "/")
	if err != nil {
		return err
	}
	c, err := n.client(t, base)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, outbound.Timeout)
	defer cancel()
	gh := github.NewClient(c).WithAuthToken(token)
	gh.BaseURL, gh.UserAgent = base, "quench"
	owner, name, _ := strings.Cut(t.Repository, "/")
	// A fence longer than any in it: nothing in the text is Markdown, or a mention.
	text, fence := body(list), "```"
	for shown := maxShown; shown > 1 && utf8.RuneCountInString(text) > maxIssueBody; {
		shown /= 2
		text = bodyOf(list, shown)
	}
	text = cut(text, maxIssueBody)
	for strings.Contains(text, fence) {
		fence += "`"
	}
	_, resp, err := gh.Issues.Create(ctx, owner, name, &github.IssueRequest{Title: github.String(plainMention(cut(subject(list), maxIssueTitle))), Body: github.String(fence + "text\n" + text + "\n" + fence + "\n")})
	var limited *github.RateLimitError
	var abuse *github.AbuseRateLimitError // the secondary limits: so many issues a minute
	switch {
	case errors.As(err, &abuse):
		return &laterError{"GitHub asks for a pause", max(abuse.GetRetryAfter(), time.Minute)}
	case errors.As(err, &limited):
		return &laterError{"GitHub's limit of calls is reached", max(limited.Rate.Reset.Sub(n.o.Now()), time.Second)}
	case resp != nil:
		return n.read(resp.StatusCode, resp.Header)
	case err != nil:
		return errors.New(outbound.Describe(err))
	}
	return nil
}

// plainMention keeps a title from calling people.
func plainMention(s string) string { return strings.ReplaceAll(s, "@", "@\u200b") }
