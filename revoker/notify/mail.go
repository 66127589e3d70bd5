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
	if p == 465 {
		opts = append(opts, mail.WithSSL())
	} else {
		dial, hangUp := n.dialMail()
		defer hangUp()
		opts = append(opts, mail.WithDialContextFunc(dial))
	}
	if a, err := netip.ParseAddr(host); err == nil && a.IsLoopback() {
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

// dialMail connects to a mail server; hangUp ends what it connected, since go-mail leaves a
// connection open whose server does not offer STARTTLS, until the garbage is collected.
func (n *Notifier) dialMail() (dial mail.DialContextFunc, hangUp func()) {
	connect := n.o.Dial
	if connect == nil {
		connect = (&net.Dialer{}).DialContext
	}
	var conns []net.Conn
	dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := connect(ctx, network, address)
		if err == nil {
			conns = append(conns, c)
		}
		return c, err
	}
	return dial, func() {
		for _, c := range conns {
			c.Close()
		}
	}
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

// syslogName is a text as RFC 5424 (6) takes it for a MSGID and, without what not holds,
// for the name of a parameter: 32 characters of visible ASCII.
func syslogName(s, not string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(not, r) {
			return '_'
		}
		return r
	}, s)
	return s[:min(len(s), 32)]
}

// syslogHost is a HOSTNAME: 255 characters of visible ASCII.
func syslogHost(s string) string {
	if len(s) > 255 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "-"
	}
	return s
}

func syslogLine(a alert.Alert) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "-"
	}
	var sd strings.Builder
	sd.WriteString("[alert@32473") // the enterprise number kept for documentation, RFC 5612
	for _, f := range fields(a) {
		name := syslogName(f[0], `="]`)
		value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(f[1])
		if sd.Len()+len(value) < maxSyslog/2 {
			fmt.Fprintf(&sd, ` %s="%s"`, name, value)
		}
	}
	sd.WriteString("]")
	msg := clean(a.Title) + ": " + clean(a.Advice)
	if strings.ContainsFunc(msg, func(r rune) bool { return r >= 0x80 }) {
		msg = "\uFEFF" + msg // UTF-8 begins with it, 6.4
	}
	line := fmt.Sprintf("<%d>1 %s %s quench %d %s %s %s", facility*8+syslogSeverity[a.Severity], a.At.UTC().Format("2006-01-02T15:04:05.000000Z"), syslogHost(host), os.Getpid(),
		syslogName(a.Kind, ""), sd.String(), msg)
	if len(line) > maxSyslog {
		line = strings.ToValidUTF8(line[:maxSyslog], "")
	}
	return line
}
