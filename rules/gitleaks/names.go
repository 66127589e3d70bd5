package gitleaks

import (
	"slices"
	"strings"
	"sync"

	"github.com/quench-dev/quench/rules"
)

// names pairs the ids of gitleaks' default rules with those of ours that look for
// the same, where they differ. An id of gitleaks that is not here and no rule's has
// no counterpart.
const names = `
1password-secret-key: onepassword-secret-key
1password-service-account-token: onepassword-service-account-token
adafruit-api-key: adafruit-io-key adafruit-io-key-legacy
airtable-api-key: airtable-pat
airtable-personnal-access-token: airtable-pat
anthropic-admin-api-key: anthropic-admin-key
artifactory-api-key: jfrog-api-key
artifactory-reference-token: jfrog-reference-token
atlassian-api-token: atlassian-api-token atlassian-token
authress-service-client-access-key: authress-service-key
aws-access-token: aws-access-key-id
aws-amazon-bedrock-api-key-long-lived: aws-bedrock-api-key
aws-amazon-bedrock-api-key-short-lived: aws-bedrock-session-key
azure-ad-client-secret: azure-entra-client-secret
cisco-meraki-api-key: meraki-api-key
clickhouse-cloud-api-secret-key: clickhouse-cloud-secret
clojars-api-token: clojars-deploy-token
cloudflare-api-key: cloudflare-api-token-legacy cloudflare-account-token cloudflare-user-token
cloudflare-global-api-key: cloudflare-global-key cloudflare-global-key-legacy
codecov-access-token: codecov-token
cohere-api-token: cohere-api-key
coinbase-access-token: coinbase-api-secret
confluent-access-token: confluent-secret
confluent-secret-key: confluent-secret confluent-cloud-secret
contentful-delivery-api-token: contentful-token
curl-auth-header: http-bearer-token http-basic-auth
curl-auth-user: http-basic-auth https-credentials
databricks-api-token: databricks-pat
datadog-access-token: datadog-api-key datadog-app-key
digitalocean-access-token: digitalocean-oauth
digitalocean-refresh-token: digitalocean-refresh
discord-api-token: discord-bot-token
doppler-api-token: doppler-token
dropbox-api-token: dropbox-app-secret
dropbox-short-lived-api-token: dropbox-short-lived-token
duffel-api-token: duffel-token
dynatrace-api-token: dynatrace-token
easypost-api-token: easypost-api-key
easypost-test-api-token: easypost-api-key
facebook-access-token: facebook-app-token facebook-page-token
facebook-page-access-token: facebook-page-token
facebook-secret: facebook-app-secret
finicity-api-token: finicity-key
finicity-client-secret: finicity-partner-secret
flyio-access-token: flyio-token flyio-org-token
frameio-api-token: frameio-token
freshbooks-access-token: freshbooks-secret
gcp-api-key: google-api-key google-gemini-api-key
generic-api-key: generic-assignment
github-app-token: github-app-installation github-app-installation-jwt github-user-to-server
github-refresh-token: github-refresh
gitlab-cicd-job-token: gitlab-ci-job
gitlab-deploy-token: gitlab-deploy
gitlab-feature-flag-client-token: gitlab-feature-flag
gitlab-feed-token: gitlab-feed
gitlab-incoming-mail-token: gitlab-incoming-mail
gitlab-kubernetes-agent-token: gitlab-agent
gitlab-oauth-app-secret: gitlab-oauth
gitlab-ptt: gitlab-trigger
gitlab-rrt: gitlab-runner-registration
gitlab-runner-authentication-token: gitlab-runner
gitlab-runner-authentication-token-routable: gitlab-runner-routable
gitlab-scim-token: gitlab-scim
grafana-cloud-api-token: grafana-cloud-token
harness-api-key: harness-token
hashicorp-tf-api-token: terraform-cloud-token
heroku-api-key: heroku-api-key-legacy
heroku-api-key-v2: heroku-api-key
huggingface-access-token: huggingface-user-token
huggingface-organization-api-token: huggingface-org-token
infracost-api-token: infracost-api-key
intercom-api-key: intercom-token
jwt-base64: jwt
kraken-access-token: kraken-key
kubernetes-secret-yaml: generic-assignment
kucoin-access-token: kucoin-secret
kucoin-secret-key: kucoin-secret
launchdarkly-access-token: launchdarkly-key
linear-client-secret: linear-oauth-token
mailgun-private-api-token: mailgun-api-key
mailgun-signing-key: mailgun-account-key
mapbox-api-token: mapbox-secret-token
mattermost-access-token: mattermost-token
netlify-access-token: netlify-token
new-relic-browser-api-token: newrelic-browser-key
new-relic-insert-key: newrelic-insert-key
new-relic-user-api-key: newrelic-user-key
notion-api-token: notion-token notion-token-legacy
octopus-deploy-api-key: octopus-api-key
okta-access-token: okta-api-token
plaid-api-token: plaid-access-token
plaid-secret-key: plaid-secret
planetscale-api-token: planetscale-secret
planetscale-oauth-token: planetscale-secret
planetscale-password: planetscale-secret
postman-api-token: postman-api-key
prefect-api-token: prefect-api-key
pulumi-api-token: pulumi-access-token
rapidapi-access-token: rapidapi-key
readme-api-token: readme-api-key
rubygems-api-token: rubygems-api-key
scalingo-api-token: scalingo-token
sendbird-access-token: sendbird-token
sendgrid-api-token: sendgrid-api-key
sendinblue-api-token: brevo-api-key
sentry-access-token: sentry-org-token sentry-user-token
settlemint-application-access-token: settlemint-token
settlemint-personal-access-token: settlemint-token
settlemint-service-access-token: settlemint-token
shippo-api-token: shippo-token
shopify-custom-access-token: shopify-custom-app-token
shopify-private-app-access-token: shopify-private-app-password
slack-legacy-workspace-token: slack-workspace-token
slack-webhook-url: slack-webhook
snyk-api-token: snyk-token
sonar-api-token: sonarqube-token
sourcegraph-access-token: sourcegraph-token
stripe-access-token: stripe-secret-key stripe-restricted-key
sumologic-access-token: sumologic-access-key
telegram-bot-api-token: telegram-bot-token
travisci-access-token: travis-token
twilio-api-key: twilio-api-key-sid twilio-auth-token
twitch-api-token: twitch-client-secret twitch-token
twitter-access-secret: twitter-secret
twitter-api-secret: twitter-secret
typeform-api-token: typeform-token
yandex-access-token: yandex-iam-token
yandex-aws-access-token: yandex-aws-secret
zendesk-secret-key: zendesk-api-token
`

// tables are names both ways, with the ids of built-in rules only.
var tables = sync.OnceValue(func() (t struct{ ours, theirs map[string][]string }) {
	t.ours, t.theirs = map[string][]string{}, map[string][]string{}
	set, err := rules.Builtin()
	if err != nil {
		return t
	}
	for line := range strings.Lines(names) {
		their, ours, _ := strings.Cut(strings.TrimSpace(line), ":")
		for _, id := range strings.Fields(ours) {
			if _, ok := set.Rule(id); ok {
				t.ours[their] = append(t.ours[their], id)
				t.theirs[id] = append(t.theirs[id], their)
			}
		}
	}
	for _, r := range set.Rules() {
		if t.ours[r.ID] == nil {
			t.ours[r.ID] = []string{r.ID}
		}
	}
	return t
})

// Ours gives the ids of the built-in rules that look for what gitleaks' default
// rule id does; none where there is no such rule.
func Ours(id string) []string { return slices.Clone(tables().ours[id]) }

// Theirs gives the ids of gitleaks' default rules that look for what the built-in
// rule id does, where they have another name.
func Theirs(id string) []string { return tables().theirs[id] }
