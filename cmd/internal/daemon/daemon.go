// Package daemon is what a process that lives owes the service manager: sd_notify, the
// watchdog, reloads on SIGHUP, and a unit file that says what it may do.
//
// It knows nothing of what the process is for. The protocol is one datagram with a few
// words in it (sd_notify(3)), which is why there is no library for it. Start reading at
// Notifier.
package daemon

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Unit is a systemd unit for quench watch; path stands for the program in it.
//
//go:embed quench-watch.service
var unit string

// Unit is a hardened systemd unit for watching paths with the program at exe.
func Unit(exe string, paths []string) string {
	if len(paths) == 0 {
		paths = []string{"/var/log"}
	}
	quoted := make([]string, len(paths))
	for i, p := range paths {
		quoted[i] = quote(p)
	}
	return strings.NewReplacer("@EXE@", quote(exe), "@PATHS@", strings.Join(quoted, " ")).Replace(unit)
}

// quote writes an argument of ExecStart as systemd.service(5) reads it.
func quote(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$", "\n", `\n`).Replace(s)
	if strings.ContainsAny(s, " \t'\\\";") {
		return `"` + s + `"`
	}
	return s
}

// Notifier tells the service manager how the process does. Where none wants to know it
// does nothing. It is safe for concurrent use.
type Notifier struct {
	addr string        // of the manager's socket, empty for none
	ping time.Duration // how often it wants to know that the process is alive, 0 for never
	last atomic.Int64  // Unix nanoseconds of when it last was told
}

// FromEnviron is the Notifier that the service manager asked for, by the environment,
// which is cleared so that no child speaks for this process.
func FromEnviron() *Notifier {
	n := &Notifier{addr: os.Getenv("NOTIFY_SOCKET")}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if pid := os.Getenv("WATCHDOG_PID"); err == nil && usec > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.ping = time.Duration(usec) * time.Microsecond / 2 // as sd_watchdog_enabled(3) advises
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		os.Unsetenv(name)
	}
	return n
}

// patience is how long a message waits for a manager that has not read those before; the
// kernel keeps ten of them (net.unix.max_dgram_qlen). A manager reads at once, unless it
// is busy itself; the work of the process stands still meanwhile.
const patience = time.Second

// send sends one message. A manager that cannot be told has its own clock for that.
func (n *Notifier) send(state string) {
	if n.addr == "" {
		return
	}
	addr := n.addr
	if strings.HasPrefix(addr, "@") { // an abstract socket
		addr = "\x00" + addr[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(patience))
	c.Write([]byte(state))
}

// Ready says that the process does its work, and what that is.
func (n *Notifier) Ready(status string) { n.send("READY=1\nSTATUS=" + line(status)) }

// Status says what the process is at.
func (n *Notifier) Status(status string) { n.send("STATUS=" + line(status)) }

// Reloading says that a reload begins; Ready says that it is over, however it went.
func (n *Notifier) Reloading() {
	n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic()))
}

// Stopping says that the process ends.
func (n *Notifier) Stopping() { n.send("STOPPING=1") }

// Alive says that the work goes on; it may be called as often as anything is done.
func (n *Notifier) Alive() {
	now, last := time.Now().UnixNano(), n.last.Load()
	if n.ping > 0 && now-last >= int64(n.ping)/2 && n.last.CompareAndSwap(last, now) {
		n.send("WATCHDOG=1")
	}
}

func line(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// OnReload calls f for each SIGHUP until ctx ends, one call at a time; signals that come
// meanwhile are one. The returned function ends it and waits for f.
func OnReload(ctx context.Context, f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	c := make(chan os.Signal, 1)
	if hangup != nil {
		signal.Notify(c, hangup)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-c:
				f(ctx)
			}
		}
	}()
	return func() {
		signal.Stop(c)
		cancel()
		<-done
	}
}
