package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker/internal/outbound"
)

// mail sends one message by SMTP: over TLS from the start at port 465, else with
// STARTTLS, which only a server on this machine may do without.
func (n *Notifier) mail(ctx context.Context, t Target, list []alert.Alert) error {
	host, port, err := net.SplitHostPort(t.Address)
	if err != nil {
		return errors.New("its address is not host:port")
	}
	p, err := strconv.Atoi(port)
	if err != nil {
		return errors.New("its port is no number")
	}
	pool, err := roots(t)
	if err != nil {
		return err
	}
	opts := []mail.Option{mail.WithPort(p), mail.WithTimeout(outbound.Timeout), mail.WithTLSConfig(&tls.Config{ServerName: host, RootCAs: pool, MinVersion: tls.VersionTLS12}),
		mail.WithTLSPolicy(mail.TLSMandatory)}
	if n.o.Dial != nil {
		opts = append(opts, mail.WithDialContextFunc(mail.DialContextFunc(n.o.Dial)))
	}
	switch a, err := netip.ParseAddr(host); {
	case p == 465:
		opts = append(opts, mail.WithSSL())
	case err == nil && a.IsLoopback():
		opts = append(opts, mail.WithTLSPolicy(mail.TLSOpportunistic))
	}
	if t.User != "" {
		password, err := key(t)
		if err != nil {
			return err
		}
		opts = append(opts, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(t.User), mail.WithPassword(password))
	}
	c, err := mail.NewClient(host, opts...)
	if err != nil {
		return fmt.Errorf("its address: %w", err)
	}
	m := mail.NewMsg()
	if err := errors.Join(m.From(t.From), m.To(t.To...)); err != nil {
		return err
	}
	m.Subject("[quench] " + subject(list))
	m.SetBodyString(mail.TypeTextPlain, body(list))
	ctx, cancel := context.WithTimeout(ctx, lease/2)
	defer cancel()
	err = c.DialAndSendWithContext(ctx, m)
	var se *mail.SendError
	if errors.As(err, &se) && !se.IsTemp() && se.ErrorCode() >= 550 && se.ErrorCode() < 560 {
		return &refusedError{fmt.Sprintf("the mail server answers %d", se.ErrorCode())}
	}
	if err != nil {
		return errors.New("the mail server did not take it: " + outbound.Describe(err))
	}
	return nil
}

// syslog facilities and severities (RFC 5424, 6.2.1): facility 4, security.
const facility = 4

var syslogSeverity = map[string]int{alert.Info: 6, alert.Warning: 4, alert.Critical: 2}

// syslog sends each alert as one RFC 5424 message, over UDP a datagram (RFC 5426),
// over TCP or TLS counted (RFC 6587, RFC 5425). UDP is not answered: what is lost on
// the way is not known.
func (n *Notifier) syslog(ctx context.Context, t Target, list []alert.Alert) error {
	u, err := url.Parse(t.Address)
	if err != nil {
		return errors.New("its address cannot be read")
	}
	ctx, cancel := context.WithTimeout(ctx, outbound.Timeout)
	defer cancel()
	dial := n.o.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	network := u.Scheme
	if network == "tls" {
		network = "tcp"
	}
	conn, err := dial(ctx, network, u.Host)
	if err != nil {
		return errors.New(outbound.Describe(err))
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		conn.SetDeadline(end)
	}
	if u.Scheme == "tls" {
		pool, err := roots(t)
		if err != nil {
			return err
		}
		secure := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), RootCAs: pool, MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			return errors.New(outbound.Describe(err))
		}
		conn = secure
	}
	for _, a := range list {
		line := syslogLine(a)
		if network == "tcp" {
			line = strconv.Itoa(len(line)) + " " + line
		}
		if _, err := conn.Write([]byte(line)); err != nil {
			return errors.New(outbound.Describe(err))
		}
	}
	return nil
}

// maxSyslog bounds a message in bytes: what every receiver of RFC 5424 should take.
const maxSyslog = 2048

func syslogLine(a alert.Alert) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "-"
	}
	var sd strings.Builder
	sd.WriteString("[alert@32473") // the enterprise number kept for documentation, RFC 5612
	for _, f := range fields(a) {
		name := strings.Map(func(r rune) rune {
			if r <= ' ' || r >= 0x7f || strings.ContainsRune(`="]`, r) {
				return '_'
			}
			return r
		}, f[0])
		value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(f[1])
		if sd.Len()+len(value) < maxSyslog/2 {
			fmt.Fprintf(&sd, ` %s="%s"`, cut(name, 32), value)
		}
	}
	sd.WriteString("]")
	line := fmt.Sprintf("<%d>1 %s %s quench %d %s %s %s: %s", facility*8+syslogSeverity[a.Severity], a.At.UTC().Format("2006-01-02T15:04:05.000000Z"), host, os.Getpid(),
		cut(strings.ReplaceAll(clean(a.Kind), " ", "_"), 32), sd.String(), clean(a.Title), clean(a.Advice))
	if len(line) > maxSyslog {
		line = strings.ToValidUTF8(line[:maxSyslog], "")
	}
	return line
}
