{{/* Fails on values that cannot work together, with one sentence that names the value. The schema checks each value. */}}
{{- define "ringcentral-exporter.checks" -}}
{{- include "ringcentral-exporter.checkSecrets" . -}}
{{- include "ringcentral-exporter.checkAccount" . -}}
{{- include "ringcentral-exporter.checkAccounts" . -}}
{{- include "ringcentral-exporter.checkFlags" . -}}
{{- include "ringcentral-exporter.checkFiles" . -}}
{{- range list "serviceMonitor" "scrapeConfig" -}}
{{- include "ringcentral-exporter.checkTimeout" (dict "path" . "scrape" (index $.Values .)) -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.scrapeConfig.enabled -}}
{{- fail "scrapeConfig.enabled: conflicts with serviceMonitor.enabled: both together would count every call twice" -}}
{{- end -}}
{{- if .Values.webTls.enabled -}}
{{- range list "configSecret" "certificateSecret" -}}
{{- if not (index $.Values.webTls .) -}}
{{- fail (printf "webTls.%s: expected the name of an existing Secret, since webTls.enabled is true" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails on a secret in the values, without repeating it: Helm would store it with the release. The schema allows these keys,
     so that the error is a sentence with the value to use instead. */}}
{{- define "ringcentral-exporter.checkSecrets" -}}
{{- $name := "account.secret.name" -}}
{{- include "ringcentral-exporter.checkNoSecret" (dict "path" "" "values" .Values "name" $name) -}}
{{- include "ringcentral-exporter.checkNoSecret" (dict "path" "account." "values" .Values.account "name" $name) -}}
{{- include "ringcentral-exporter.checkNoSecret" (dict "path" "account.secret." "values" .Values.account.secret "name" $name) -}}
{{- range $index, $account := .Values.accounts -}}
{{- $path := printf "accounts[%d]." $index -}}
{{- $name := printf "%ssecret.name or accountsSecret" $path -}}
{{- include "ringcentral-exporter.checkNoSecret" (dict "path" $path "values" $account "name" $name) -}}
{{- include "ringcentral-exporter.checkNoSecret" (dict "path" (printf "%ssecret." $path) "values" .secret "name" $name) -}}
{{- end -}}
{{- end -}}

{{/* Fails on a secret among these values. */}}
{{- define "ringcentral-exporter.checkNoSecret" -}}
{{- range list "clientSecret" "client_secret" "jwt" -}}
{{- if hasKey ($.values | default dict) . -}}
{{- fail (printf "%s%s: unexpected secret: expected it in an existing Secret, and the name of that as %s" $.path . $.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails unless there is one account, or a list. */}}
{{- define "ringcentral-exporter.checkAccount" -}}
{{- $account := .Values.account -}}
{{- if .Values.accounts -}}
{{- range $key, $value := omit $account "secret" -}}
{{- if $value -}}
{{- fail (printf "account.%s: conflicts with accounts: expected all accounts in the list" $key) -}}
{{- end -}}
{{- end -}}
{{- if $account.secret.name -}}
{{- fail "account.secret.name: conflicts with accounts: expected all accounts in the list" -}}
{{- end -}}
{{- else if not $account.secret.name -}}
{{- fail "account.secret.name: expected the name of an existing Secret with the app's client id and client secret and the user's JWT, or a list of accounts" -}}
{{- else if .Values.accountsSecret -}}
{{- fail "accountsSecret: conflicts with a single account: expected only account.secret.name" -}}
{{- else if not (or $account.clientId $account.secret.clientIdKey) -}}
{{- fail "account.clientId: expected the client id of the app, or its key in the Secret as account.secret.clientIdKey" -}}
{{- else -}}
{{- include "ringcentral-exporter.checkClientId" (dict "path" "account" "account" $account) -}}
{{- include "ringcentral-exporter.checkPresence" (dict "path" "account" "account" $account) -}}
{{- end -}}
{{- end -}}

{{/* Fails on a list that the exporter would reject when the previous pod has already stopped. */}}
{{- define "ringcentral-exporter.checkAccounts" -}}
{{- $names := dict -}}
{{- range $index, $account := .Values.accounts -}}
{{- $path := printf "accounts[%d]" $index -}}
{{- if hasKey $names $account.name -}}
{{- fail (printf "%s.name: expected another name than %q, which an earlier account has" $path $account.name) -}}
{{- end -}}
{{- $_ := set $names $account.name true -}}
{{- if not $account.clientId -}}
{{- fail (printf "%s.clientId: expected the client id of the app of %q" $path $account.name) -}}
{{- end -}}
{{- if not (or $.Values.accountsSecret (dig "secret" "name" "" $account)) -}}
{{- fail (printf "%s.secret.name: expected the name of an existing Secret of %q, or one for all accounts as accountsSecret" $path $account.name) -}}
{{- end -}}
{{- include "ringcentral-exporter.checkClientId" (dict "path" $path "account" $account) -}}
{{- include "ringcentral-exporter.checkPresence" (dict "path" $path "account" $account) -}}
{{- end -}}
{{- end -}}

{{/* Fails on a JWT as client id, without repeating it: it would be in the Deployment or a ConfigMap. */}}
{{- define "ringcentral-exporter.checkClientId" -}}
{{- if hasPrefix "eyJ" (.account.clientId | default "") -}}
{{- fail (printf "%s.clientId: looks like a JWT: expected the client id of the app, and the JWT in an existing Secret" .path) -}}
{{- end -}}
{{- end -}}

{{/* Fails on presence of an account whose calls are those of one user. */}}
{{- define "ringcentral-exporter.checkPresence" -}}
{{- if and (eq (.account.level | default "") "extension") (has .account.presence (list "poll" "events")) -}}
{{- fail (printf "%s.presence: invalid value %q: expected off, since %s.level is extension" .path .account.presence .path) -}}
{{- end -}}
{{- end -}}

{{/* Fails on flags and variables that the chart sets from other values, and on secrets in variables. Repeats no value,
     since it may be a secret. */}}
{{- define "ringcentral-exporter.checkFlags" -}}
{{- range .Values.extraEnv -}}
{{- if or (hasPrefix "RC_" .name) (eq .name "STATE_DIRECTORY") -}}
{{- fail (printf "extraEnv: unexpected variable %s: the chart sets it from account, accounts, ca and state" (splitList "=" .name | first)) -}}
{{- end -}}
{{- $value := .value | default "" -}}
{{- if or (hasPrefix "eyJ" $value) (regexMatch "://[^/@]*:[^/@]*@" $value) -}}
{{- fail (printf "extraEnv: the value of %s contains a secret: expected valueFrom with an existing Secret" .name) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraArgs -}}
{{- if and (regexMatch "^--(ringcentral[.]|config[.]file|web[.]config[.]file|web[.]listen-address|state[.]directory)" .) (not (hasPrefix "--ringcentral.presence-audit" .)) -}}
{{- fail (printf "extraArgs: unexpected flag %s: the chart sets it from account, accounts, webTls and state" (splitList "=" . | first)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails on a timeout above the interval, which the operator rejects. */}}
{{- define "ringcentral-exporter.checkTimeout" -}}
{{- $interval := include "ringcentral-exporter.seconds" .scrape.interval | int -}}
{{- if gt (include "ringcentral-exporter.seconds" .scrape.scrapeTimeout | int) $interval -}}
{{- fail (printf "%s.scrapeTimeout: invalid value %q: expected at most %s.interval" .path .scrape.scrapeTimeout .path) -}}
{{- end -}}
{{- end -}}

{{/* Returns the seconds of a duration in seconds or minutes. */}}
{{- define "ringcentral-exporter.seconds" -}}
{{- if hasSuffix "m" . -}}
{{- trimSuffix "m" . | int | mul 60 -}}
{{- else -}}
{{- trimSuffix "s" . -}}
{{- end -}}
{{- end -}}

{{/* Fails if links in the folder of the chart are not links, as after a checkout without them. */}}
{{- define "ringcentral-exporter.checkFiles" -}}
{{- $patterns := dict "rules" "rules/*.yml" "dashboards" "dashboards/*.json" -}}
{{- range $name, $pattern := $patterns -}}
{{- if and (index $.Values $name).enabled (not ($.Files.Glob $pattern)) -}}
{{- fail (printf "%s.enabled: the chart has no %s: expected a package of the chart, or a checkout with symbolic links" $name $pattern) -}}
{{- end -}}
{{- end -}}
{{- end -}}
