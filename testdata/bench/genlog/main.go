// Command genlog writes a synthetic application log, JSON lines and plain text
// mixed, with fake tokens planted at known lines.
//
//	genlog [-mb 1000] [-seed 1] OUT.log
//
// OUT.log.planted.tsv lists them: line, kind, value. Values are random and of
// the right shape, made at run time, so that no file of this project holds one.
package main

import (
	"bufio"
	"encoding/base64"
	"flag"
	"fmt"
	"hash/crc32"
	"log"
	"math/bits"
	"math/rand/v2"
	"os"
	"strings"
	"time"
)

const (
	digits = "0123456789"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	alnum  = upper + lower + digits
	hexa   = "0123456789abcdef"
)

type gen struct {
	*rand.Rand
	now         time.Time
	hexes, uids []string
}

func main() {
	log.SetFlags(0)
	mb := flag.Int("mb", 1000, "size in MB")
	seed := flag.Uint64("seed", 1, "seed")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: genlog [-mb 1000] [-seed 1] OUT.log")
	}
	if err := write(flag.Arg(0), int64(*mb)*1_000_000, *seed); err != nil {
		log.Fatal(err)
	}
}

func write(out string, size int64, seed uint64) error {
	g := &gen{Rand: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1_750_000_000, 0).UTC()}
	for range 4096 {
		g.hexes = append(g.hexes, g.s(32, hexa))
		g.uids = append(g.uids, g.uuid())
	}
	logFile, err := os.Create(out)
	if err != nil {
		return err
	}
	defer logFile.Close()
	tsv, err := os.Create(out + ".planted.tsv")
	if err != nil {
		return err
	}
	defer tsv.Close()
	w := bufio.NewWriterSize(logFile, 1<<20)
	plants := g.plants()
	step := size / int64(len(plants)+1)
	next, n, done := step, 0, int64(0)
	for done < size {
		var line string
		if done >= next && len(plants) > 0 {
			p := plants[0]
			plants, next = plants[1:], next+step
			line = g.line(p.text)
			fmt.Fprintf(tsv, "%d\t%s\t%s\n", n+1, p.kind, p.value)
		} else {
			line = g.line("")
		}
		n++
		done += int64(len(line)) + 1
		w.WriteString(line)
		w.WriteByte('\n')
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := logFile.Close(); err != nil {
		return err
	}
	return tsv.Close()
}

func (g *gen) s(n int, set string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = set[g.IntN(len(set))]
	}
	return string(b)
}

func (g *gen) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g *gen) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

func (g *gen) b64(n int) string { return base64.StdEncoding.EncodeToString(g.bytes(n)) }
func (g *gen) u64(n int) string { return base64.RawURLEncoding.EncodeToString(g.bytes(n)) }

func (g *gen) uuid() string {
	h := g.s(32, hexa)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// checksummed is a token whose last six characters are the CRC-32 of the thirty
// before, in base 62.
func (g *gen) checksummed(prefix string) string {
	b := g.s(30, alnum)
	c := crc32.ChecksumIEEE([]byte(b))
	var tail [6]byte
	for i := 5; i >= 0; i-- {
		tail[i] = (digits + upper + lower)[c%62]
		c /= 62
	}
	return prefix + b + string(tail[:])
}

func (g *gen) jwt() string {
	e := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return e(`{"alg":"HS256","typ":"JWT"}`) + "." +
		e(fmt.Sprintf(`{"sub":"%s","iat":%d,"name":"%s"}`, g.s(10, digits), 1_700_000_000+g.IntN(10_000_000), g.s(9, alnum))) + "." + g.u64(32)
}

func (g *gen) pem() string {
	k := g.b64(1190)
	var lines []string
	for ; len(k) > 64; k = k[64:] {
		lines = append(lines, k[:64])
	}
	return "-----BEGIN RSA " + `PRIVATE KEY-----\n` + strings.Join(append(lines, k), `\n`) + `\n-----END RSA ` + "PRIVATE KEY-----"
}

type plant struct{ kind, value, text string }

// plants are four tokens of every kind in their usual surroundings, shuffled.
func (g *gen) plants() []plant {
	var out []plant
	add := func(kind, value, format string) {
		out = append(out, plant{kind, value, strings.ReplaceAll(format, "{}", value)})
	}
	for range 4 {
		add("aws-pair", "AKIA"+g.s(16, upper+"234567"), "aws_access_key_id={} aws_secret_access_key="+g.b64(30))
		add("github-pat", g.checksummed("ghp_"), "git clone https://x-access-token:{}@github.com/acme/app.git")
		add("github-oauth", g.checksummed("gho_"), "Authorization: token {}")
		add("gitlab-pat", "glpat-"+g.s(20, alnum), "PRIVATE-TOKEN: {}")
		add("slack-bot", "xoxb-"+g.s(12, digits)+"-"+g.s(13, digits)+"-"+g.s(24, alnum), "slack token={}")
		add("slack-hook", "https://hooks.slack.com/services/T"+g.s(10, upper+digits)+"/B"+g.s(10, upper+digits)+"/"+g.s(24, alnum), "POST {}")
		add("stripe", "sk_live_"+g.s(24, alnum), "STRIPE_API_KEY={}")
		add("google-api", "AIza"+g.s(34, alnum+"-_")+g.s(1, alnum), "GET https://maps.googleapis.com/maps/api/geocode/json?address=x&key={}")
		add("openai", "sk-"+g.s(20, alnum)+"T3Blbk"+"FJ"+g.s(20, alnum), "OPENAI_API_KEY={}")
		add("anthropic", "sk-ant-api03-"+g.s(92, alnum+"-_")+g.s(1, alnum)+"AA", "x-api-key: {}")
		add("sendgrid", "SG."+g.s(22, alnum)+"."+g.s(43, alnum), "SENDGRID_API_KEY={}")
		add("npm", g.checksummed("npm_"), "//npm.example.com/:_authToken={}")
		add("pypi", "pypi-AgEIcHlwaS5vcmc"+g.s(155, alnum+"-_")+g.s(1, alnum), "TWINE_PASSWORD={}")
		add("huggingface", "hf_"+g.s(34, upper+lower), "HF_TOKEN={}")
		add("digitalocean", "dop_v1_"+g.s(64, hexa), "DIGITALOCEAN_ACCESS_TOKEN={}")
		add("shopify", "shpat_"+g.s(32, hexa), "X-Shopify-Access-Token: {}")
		add("databricks", "dapi"+g.s(32, hexa), "DATABRICKS_TOKEN={}")
		add("vault", "hvs."+g.s(94, alnum+"_")+g.s(1, alnum), "VAULT_TOKEN={}")
		b := "glsa_" + g.s(32, alnum)
		add("grafana-sa", fmt.Sprintf("%s_%08x", b, bits.ReverseBytes32(crc32.ChecksumIEEE([]byte(b)))), "Authorization: Bearer {}")
		add("newrelic", "NRAK-"+g.s(27, upper+digits), "NEW_RELIC_API_KEY={}")
		add("telegram", g.s(1, "123456789")+g.s(9, digits)+":AA"+g.s(32, alnum+"_-")+g.s(1, alnum), "telegram https://api.telegram.org/bot{}/sendMessage")
		add("azure-storage", g.b64(64), "DefaultEndpointsProtocol=https;AccountName=acme"+g.s(6, hexa)+";AccountKey={};EndpointSuffix=core.windows.net")
		add("postgres-uri", g.s(18, alnum), fmt.Sprintf("dsn=postgres://svc_orders:{}@db-%d.internal.acme.io:5432/orders", g.IntN(9)))
		add("jwt", g.jwt(), "Authorization: Bearer {}")
		add("private-key", g.pem(), `loaded key "{}"`)
		add("generic-pw", g.s(22, alnum), `db_password="{}"`)
	}
	g.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

var (
	services = []string{"checkout", "payments", "auth-gateway", "search-indexer", "orders", "inventory", "mailer", "session-store", "billing-worker", "edge-proxy"}
	paths    = []string{"/api/v1/orders", "/api/v2/users", "/healthz", "/static/js/main.%s.js", "/login", "/oauth/token", "/api/v1/cart/items", "/metrics", "/assets/img/%s.png", "/api/v1/keys"}
	agents   = []string{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15", "curl/8.5.0", "kube-probe/1.29", "Go-http-client/2.0", "python-requests/2.32.3"}
	messages = []string{"request completed", "cache miss, loading from database", "retrying upstream call after timeout", "user session refreshed", "token validated", "password reset mail queued", "rate limit bucket updated",
		"authentication succeeded for client", "secret rotation skipped, not due", "job finished", "connection pool at 83% capacity", "feature flag evaluated", "invalid api key supplied by client", "consumer group rebalanced", "slow query detected", "webhook delivered", "access token expired, refreshing", "key not found in keyspace, falling back"}
	stacks = []string{"\tat com.acme.%s.service.OrderService.process(OrderService.java:%d)", `  File "/srv/%s/app/handlers.py", line %d, in handle`, "\tgithub.com/acme/%s/internal/server.(*Server).ServeHTTP /src/server.go:%d", "\tat Object.<anonymous> (/usr/src/app/%s/lib/router.js:%d:17)"}
	tables = []string{"orders", "users", "api_keys", "sessions", "carts"}
)

func (g *gen) level() string {
	switch n := g.IntN(21); {
	case n < 14:
		return "INFO"
	case n < 18:
		return "DEBUG"
	case n < 20:
		return "WARN"
	}
	return "ERROR"
}

// line is one log line; msg, if any, is what it says.
func (g *gen) line(msg string) string {
	g.now = g.now.Add(time.Duration(g.Float64() * float64(20*time.Millisecond)))
	ts := g.now.Format("2006-01-02T15:04:05.000Z")
	k, svc, trace := g.Float64(), g.pick(services...), fmt.Sprintf("%016x%016x", g.Uint64(), g.Uint64())
	planted := msg != ""
	if !planted {
		msg = g.pick(messages...)
	}
	switch {
	case k < .40:
		return fmt.Sprintf(`{"ts":"%s","level":"%s","service":"%s","trace_id":"%s","span_id":"%016x","user_id":%d,"request_id":"%s","duration_ms":%.3f,"msg":"%s"}`,
			ts, strings.ToLower(g.level()), svc, trace, g.Uint64(), g.IntN(1<<24), g.pick(g.uids...), g.Float64()*900, strings.ReplaceAll(msg, `"`, `\"`))
	case k < .60 && !planted:
		p := g.pick(paths...)
		if strings.Contains(p, "%") {
			p = fmt.Sprintf(p, g.pick(g.hexes...)[:8])
		}
		return fmt.Sprintf(`10.%d.%d.%d - - [%s] "%s %s?id=%d HTTP/1.1" %s %d "-" "%s" %.3f`, g.IntN(256), g.IntN(256), g.IntN(256), ts,
			g.pick("GET", "GET", "GET", "POST", "PUT"), p, g.IntN(1<<20), g.pick("200", "200", "200", "201", "204", "302", "404", "500"), g.IntN(1<<14), g.pick(agents...), g.Float64())
	case k < .72 && !planted:
		return fmt.Sprintf(`%s DEBUG %s sql="SELECT id, status, updated_at FROM %s WHERE tenant_id = '%s' AND etag = '%s' LIMIT %d" rows=%d took=%.2fms`,
			ts, svc, g.pick(tables...), g.pick(g.uids...), trace, g.IntN(128), g.IntN(512), g.Float64()*40)
	case k < .78 && !planted:
		return fmt.Sprintf(g.pick(stacks...), svc, g.IntN(1024))
	case k < .82 && !planted:
		return fmt.Sprintf(`%s DEBUG %s config reload: log_level=info timeout=%ds api_key=******** db_password=[REDACTED] region=eu-west-%d digest=sha256:%s%s`,
			ts, svc, g.IntN(64), g.IntN(2)+1, trace, g.pick(g.hexes...))
	}
	return fmt.Sprintf(`%s %-5s [%s-%d] c.a.%s.Worker - %s id=%s shard=%d bytes=%d host=ip-10-%d-%d-%d.eu-west-1.compute.internal`,
		ts, g.level(), svc, g.IntN(16), svc[:4], msg, g.pick(g.uids...), g.IntN(64), g.IntN(1<<22), g.IntN(256), g.IntN(256), g.IntN(256))
}
