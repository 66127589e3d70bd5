package scanner_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// foundIn is a finding of a text as people see it: rule, secret, confidence.
type foundIn struct {
	rule, secret string
	confidence   rules.Confidence
}

// findIn scans text as the file at path and gives what a report shows at the
// default confidence.
func findIn(t testing.TB, e *scanner.Engine, path, body string) (out []foundIn) {
	t.Helper()
	src := list{text(sources.Origin{Source: "file", Path: path}, body)}
	_, err := e.Run(context.Background(), src, scanner.RunOptions{Workers: 1, Finding: func(f scanner.Finding) {
		if f.Confidence.AtLeast(rules.Medium) {
			out = append(out, foundIn{f.Rule.ID, revealed(f.Secret), f.Confidence})
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func revealed(s secret.Secret) string { return string(s.Reveal()) }

// values are what stands in the place of @P, a password as people make them, and
// of @T, a token as programs make them. No such value stands in this file whole.
func values(t testing.TB, seed uint64) (people, tokens []string) {
	people = []string{"hunter" + "2", "Tr0ub4dor" + "&3", "Sommer" + "2019!", "kremvax" + "71"}
	for _, tmpl := range []string{"{24:alnum}", "{40:hex}", "{32:b64url}", "{20:lowernum}"} {
		v, err := rules.Expand(tmpl, seed)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, v)
	}
	return people, tokens
}

// syntaxes are ways to give a name a secret, by the file they are met in. @P is a
// password, @T a token, @B a token in base64, @H a token in hexadecimal.
var syntaxes = []struct{ path, text string }{
	// Code.
	{"app/main.go", `	password := "@P"`},
	{"app/main.go", `const apiKey = "@T"`},
	{"app/main.go", `	cfg := Config{User: "bob", Password: "@P"}`},
	{"app/settings.py", `PASSWORD = '@P'`},
	{"app/settings.py", `    "SECRET_KEY": "@T",`},
	{"app/settings.py", `client = Client(api_key="@T", timeout=3)`},
	{"src/index.js", `const token = '@T';`},
	{"src/index.ts", `  apiKey: "@T",`},
	{"src/index.ts", `const secret: string = "@T";`},
	{"src/Main.java", `    private static final String DB_PASSWORD = "@P";`},
	{"src/Main.java", `        ds.setPassword("@P");`},
	{"src/Main.kt", `val clientSecret = "@T"`},
	{"src/App.cs", `var connectionPassword = @"@P";`},
	{"src/lib.rs", `let token: &str = "@T";`},
	{"lib/app.rb", `  config.password = "@P"`},
	{"lib/app.rb", `  :api_key => '@T',`},
	{"lib/App.php", `$db_password = '@P';`},
	{"lib/App.php", `define('AUTH_KEY', '@T');`},
	{"lib/App.pl", `my $passwd = "@P";`},
	{"src/a.swift", `let apiToken = "@T"`},
	{"src/a.c", `static const char *password = "@P";`},
	{"src/a.scala", `val apiKey = Some("@T")`},
	{"src/a.ex", `config :app, secret_key_base: "@T"`},
	{"src/a.lua", `local password = "@P"`},
	{"src/a.r", `api_key <- "@T"`},
	// Data and configuration.
	{"conf/app.json", `{"user": "bob", "password": "@P"}`},
	{"conf/app.json", `  "client_secret" : "@T",`},
	{"conf/app.json", `{"body": "{\"access_token\":\"@T\"}"}`},
	{"conf/app.yaml", `  password: @P`},
	{"conf/app.yaml", `  api_key: "@T"`},
	{"conf/app.yml", `- name: API_TOKEN` + "\n" + `  value: "@T"`},
	{"conf/app.toml", `password = "@P"`},
	{"conf/app.toml", `secret_key = '@T'`},
	{".env", `DB_PASSWORD=@P`},
	{".env", `API_KEY="@T"`},
	{".env.production", `export SECRET_TOKEN=@T`},
	{"conf/app.properties", `db.password=@P`},
	{"conf/app.properties", `spring.datasource.password = @P`},
	{"conf/app.ini", `password = @P`},
	{"conf/app.xml", `<password>@P</password>`},
	{"conf/app.xml", `  <add key="ApiKey" value="@T" />`},
	{"conf/app.xml", `<user name="bob" password="@P"/>`},
	{"conf/app.xml", `<property name="password" value="@P"/>`},
	{"main.tf", `  password = "@P"`},
	{"terraform.tfvars", `api_token = "@T"`},
	{"main.tf", `variable "db_password" { default = "@P" }`},
	{"schema.sql", `CREATE USER app IDENTIFIED BY '@P';`},
	{"schema.sql", `ALTER ROLE app WITH PASSWORD '@P';`},
	{"schema.sql", `SET PASSWORD FOR 'bob'@'localhost' = PASSWORD('@P');`},
	{"Dockerfile", `ENV API_TOKEN=@T`},
	{"Dockerfile", `ENV DB_PASSWORD @P`},
	// Shells and command lines.
	{"deploy.sh", `export DB_PASSWORD='@P'`},
	{"deploy.sh", `PGPASSWORD=@P psql -h db app`},
	{"deploy.sh", `mysql -u root --password=@P app`},
	{"deploy.sh", `mysql -u root -p@P app`},
	{"deploy.sh", `deploy --token @T --env prod`},
	{"deploy.sh", `deploy --api-key=@T`},
	{"deploy.sh", `curl -u admin:@P https://api.acme.io/v1`},
	{"deploy.sh", `curl --user "deploy:@T" https://api.acme.io/v1`},
	{"deploy.sh", `curl -sS -u 'bob:@P' https://api.acme.io/v1`},
	{"deploy.sh", `curl -H "Authorization: Bearer @T" https://api.acme.io`},
	{"deploy.sh", `curl -H 'X-Api-Key: @T' https://api.acme.io`},
	{"deploy.sh", `curl -H 'Authorization: token @T' https://api.acme.io`},
	{"deploy.sh", `sshpass -p '@P' ssh root@10.0.0.3`},
	{"deploy.ps1", `$pw = ConvertTo-SecureString "@P" -AsPlainText -Force`},
	{"deploy.bat", `set DB_PASSWORD=@P`},
	{"deploy.fish", `set -x API_TOKEN @T`},
	{"README.md", `docker login -u bob -p @P registry.acme.io`},
	// HTTP and addresses.
	{"req.http", `Authorization: Bearer @T`},
	{"req.http", `X-Auth-Token: @T`},
	{"req.http", `POST /v1?api_key=@T&x=1 HTTP/1.1`},
	{"conf/app.yaml", `url: https://bob:@E@git.acme.io/app.git`},
	{"conf/app.yaml", `url: amqp://bob:@E@mq.acme.io/prod`},
	{"conf/app.yaml", `url: redis://:@T@cache.acme.io:6379/0`},
	{"conf/app.yaml", `url: mongodb+srv://bob:@E@c0.acme.mongodb.net/app`},
	{"conf/app.yaml", `url: jdbc:postgresql://db.acme.io/app?user=bob&password=@E`},
	{"conf/app.yaml", `url: jdbc:oracle:thin:bob/@P@db.acme.io:1521:orcl`},
	{"appsettings.json", `"Default": "Server=db.acme.io;Database=app;User Id=bob;Password=@P;Encrypt=true"`},
	{"web.config", `connectionString="Data Source=db;User ID=sa;Pwd=@P;"`},
	{"odbc.ini", `Driver={ODBC Driver 18};Server=db;UID=bob;PWD=@P;`},
	{"conf/app.yaml", `eventhub: Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=@B`},
	// Files with a form of their own.
	{".netrc", "machine api.acme.io login bob password @P"},
	{".netrc", "machine api.acme.io\n  login bob\n  password @P"},
	{"_netrc", "default login bob password @T"},
	{".pgpass", "db.acme.io:5432:app:bob:@P"},
	{".npmrc", "//registry.acme.io/:_authToken=@T"},
	{".npmrc", "//registry.acme.io/:_password=@B"},
	{".npmrc", "_auth=@U"},
	{".pypirc", "[pypi]\nusername = bob\npassword = @P"},
	{".docker/config.json", `{"auths": {"https://index.docker.io/v1/": {"auth": "@U"}}}`},
	{".docker/config.json", "{\n\t\"auths\": {\n\t\t\"registry.acme.io\": {\n\t\t\t\"auth\": \"@U\"\n\t\t}\n\t}\n}"},
	{".kube/config", "users:\n- name: bob\n  user:\n    token: @T"},
	{".kube/config", "users:\n- name: bob\n  user:\n    username: bob\n    password: @P"},
	{"k8s/secret.yaml", "apiVersion: v1\nkind: Secret\ndata:\n  db-password: @6\n"},
	{"k8s/secret.yaml", "kind: Secret\nstringData:\n  password: @P\n"},
	{"keys/jwk.json", `{"kty":"EC","crv":"P-256","x":"@K","y":"@K","d":"@J"}`},
	{"keys/jwk.json", "{\n  \"kty\": \"OKP\",\n  \"d\": \"@J\",\n  \"crv\": \"Ed25519\",\n  \"x\": \"@K\"\n}"},
	{"keys/jwk.json", `{"kty":"oct","k":"@J","alg":"HS256"}`},
	{"totp.txt", `otpauth://totp/Acme:bob?secret=@2&issuer=Acme`},
	{"conf/app.yaml", `totp_secret: @2`},
	{"src/mfa.py", `totp = pyotp.TOTP("@2")`},
	{".htpasswd", "bob:$apr1$@8$@X"},
}

// ofKeys are the names that @ and a letter stand for, and how one is made.
func fill(t testing.TB, text string, seed uint64) (out, want string) {
	t.Helper()
	people, tokens := values(t, seed)
	p, tok := people[seed%uint64(len(people))], tokens[seed%uint64(len(tokens))]
	make1 := func(tmpl string) string {
		v, err := rules.Expand(tmpl, seed+7)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	in := map[string]string{
		"@P": p, "@T": tok, "@E": strings.NewReplacer("&", "%26", "!", "%21").Replace(p),
		"@B": base64.StdEncoding.EncodeToString([]byte(make1("{32:b64}"))),
		"@U": base64.StdEncoding.EncodeToString([]byte("bob:" + p)),
		"@6": base64.StdEncoding.EncodeToString([]byte(p)),
		"@J": make1("{43:b64url}"), "@2": make1("{32:base32}"),
		"@8": make1("{8:alnum}"), "@X": make1("{22:alnum}"),
	}
	for k, v := range in {
		if strings.Contains(text, k) && k != "@8" {
			want = v
		}
	}
	for k, v := range in {
		text = strings.ReplaceAll(text, k, v)
	}
	return strings.ReplaceAll(text, "@K", make1("{43:b64url}")), want
}

// TestSyntaxes finds a secret however people write down that a name has one.
func TestSyntaxes(t *testing.T) {
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range syntaxes {
		for seed := range uint64(4) {
			body, want := fill(t, c.text, seed)
			got := findIn(t, e, c.path, body+"\n")
			if !slices.ContainsFunc(got, func(f foundIn) bool {
				return strings.Contains(f.secret, want) || len(f.secret) > 3 && strings.Contains(want, f.secret)
			}) {
				t.Errorf("%s: %q: found %s, want %q", c.path, body, fmt.Sprint(got), want)
			}
		}
	}
}

// lookalikes are texts met in clean repositories, or like those, that give a name
// something else than a secret. @T, @H and the like stand for random letters, so that
// nothing but what stands around them tells.
var lookalikes = []struct{ why, path, text string }{
	{"placeholder", "conf/app.yaml", `password: changeme`},
	{"placeholder in base64", "k8s/secret.yaml", "kind: Secret\ndata:\n  password: bm90LXNlY3JldA==\n"},
	{"placeholder in base64", "k8s/secret.yaml", `  account_key: dGVzdC1hY2NvdW50LWtleQ==`},
	{"placeholder", "README.md", `key = AQBQyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy==`},
	{"placeholder", "conf.yml", `access_key: A1B2C3D4E5F6G7H8I9J0`},
	{"format", "a.proto", `// Key = "YYYY-MM-DD"; state tracks processed key IDs.`},
	{"path", "job.hcl", `{{ with secret "aws/creds/loki" -}}`},
	{"expression", "a.rb", `" --otp " + ykman("npmjs.com")`},
	{"algorithm", "a.ts", `keyManagementAlgorithms: ['PBES2-HS256+A128KW'],`},
	{"template", "deploy.yaml", `token: {{ .Values.token }}`},
	{"template", ".env", `DB_PASSWORD=${DB_PASSWORD}`},
	{"variable", "app/main.go", `	cfg.Password = dbPassword`},
	{"variable", "app/main.go", `	rc.Password = pswd`},
	{"variable", "src/index.js", `const token = authTokenFromCookie;`},
	{"call", "src/index.js", `const token = getToken(request);`},
	{"call", "app/main.go", `	password := os.Getenv("SMTP_RELAY_PASS")`},
	{"call", "src/App.java", `String secret = props.getProperty("kq7.zx81.vault");`},
	{"index", "app/a.py", `token = response['hetzner']['kx7token']`},
	{"method", "app/a.py", `vault_pass = stdout.strip(b'\r\n')`},
	{"member", "src/a.cpp", `auto* passwordWidget = wizard->currentPage()->findChild<QWidget*>();`},
	{"block", "src/a.kt", `val history: PasswordHistorySource = mockk {`},
	{"argument of another", "src/T.java", `UserPasswordAuthenticationToken("kermit9x", "piggy7q");`},
	{"argument of another", "src/T.java", `AuthUtils.split("sdch=dfgf", null);`},
	{"key of an object", "app/main.go", "fmt.Sprintf(`{\"access_token\":{\"xms_cc\":{\"values\":[%s]}}}`, v)"},
	{"tag of a field", "app/main.go", "	Reader SecretReader `yaml:\"-\"`"},
	{"hash", "composer.lock", `"reference-key": "@H"`},
	{"integrity", "package-lock.json", `"integrity": "sha512-@B"`},
	{"digest", "a.yaml", `password_hash: "$2y$10$abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ01234"`},
	{"digest", "a.go", `	fileChecksumKey = "sha256:@H"`},
	{"public key", "a.cpp", `const QString SERVER_PUBLIC_KEY = "@B";`},
	{"public key", "doc.md", `curl --pinnedpubkey 'sha256//@B' https://api.acme.io`},
	{"public key", "doc.md", `Release GPG key: 3ABC0154F22DD2239285CDD818674489FBC127EB`},
	{"UUID", "main.tf", `  second_key = "79CBEBB1-1192-480A-B4A8-E816A1A9D2FC"`},
	{"UUID", "a.go", `const TimeoutKey = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0"`},
	{"id", "a.json", `"keyId": "@B"`},
	{"algorithm", "a.php", `$key = Encrypter::generateKey('AES-256-CBC');`},
	{"algorithm", "a.ts", `const secret: jose.Algorithm = 'A128CBC-HS256'`},
	{"algorithm", "a.c", `auth = "AWS_SIGV4";`},
	{"range of versions", "yarn.lock", `js-tokens "^3.0.0 || ^4.0.0"`},
	{"range of versions", "a.js", `"js-tokens": "^3.0.0 || ^4.0.0"`},
	{"translation", "app/src/main/res/values-da/strings.xml", `<string name="master_password">Hovedadgangskode</string>`},
	{"translation", "src/messages_it.properties", `Ldap.emptyPassword=Credenziali non valide`},
	{"translation", "locales/de.json", `"password": "Kennwort",`},
	{"text of an interface", "src/strings.xml", `<string name="copy_password">Kopieer wagwoord</string>`},
	{"badge", "README.md", `[![c](https://codecov.io/gh/acme/app/branch/main/graph/badge.svg?token=@T)](https://acme.io)`},
	{"example.com", "README.md", `curl https://bob:@T@example.com/v1`},
	{"page token", "a.html", `<input type="hidden" name="authenticity_token" value="@B" />`},
	{"page token", "a.html", `<input type="hidden" name="csrfmiddlewaretoken" value="@T">`},
	{"nonce", "a.html", `<script src="a.js" nonce="@T"></script>`},
	{"handshake", "test1", `Sec-WebSocket-Key: @B`},
	{"proof of one request", "test1", `Authorization: Digest username="bob", realm="r", nonce="@H", response="@H"`},
	{"proof of one request", "a.md", `Authorization: AWS4-HMAC-SHA256 Credential=ABCDEF/20121226/us-east-1/sqs/aws4_request, SignedHeaders=host`},
	{"name in a directory", "a.ldif", `pwdPolicySubentry: cn=expirein10,ou=policies,dc=acme,dc=com`},
	{"number", "a.go", `const SQLITE_OnePass = 134217728`},
	{"name of an attribute", "a.go", `	PodIDKey = attribute.Key("k8s.job.uid")`},
	{"message", "a.log", `[sudo] password: debug2: channel 2: written 67 to efd 11`},
	{"prose", "a.md", "Extra flags to pass to `rustc`. The value may be an array of strings."},
	{"prose", "a.md", `The password is checked before the token is read.`},
	{"test vector", "a.go", `	sharedSecret := fromHex("@H@H")`},
	{"user", "ci.yaml", `docker run -u node:node acme/app`},
	{"path", "a.yaml", `tls_key: /etc/ssl/private/server.key`},
	{"flag", "a.sh", `psql --password --host db.acme.io`},
	{"SQL", "a.sql", `  password VARCHAR(255) NOT NULL,`},
	{"type", "a.ts", `  password: string;`},
	{"type", "a.graphql", `  token: String!`},
	{"schema", "a.json", `"password": {"type": "string", "minLength": 12345678}`},
	{"event", "a.js", `if (event.key === 'ArrowDownRight') {`},
}

// TestLookalikes holds that what people and programs write like secrets is left out.
func TestLookalikes(t *testing.T) {
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range lookalikes {
		for seed := range uint64(4) {
			hex, err := rules.Expand("{32:hex}", seed)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := fill(t, strings.ReplaceAll(c.text, "@H", hex), seed)
			if got := findIn(t, e, c.path, body+"\n"); len(got) > 0 {
				t.Errorf("%s: %s: %q: found %v", c.why, c.path, body, got)
			}
		}
	}
}
