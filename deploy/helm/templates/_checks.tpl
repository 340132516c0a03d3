{{/* Fails on values that cannot work together, with one sentence that names the value. The schema checks each value. */}}
{{- define "ringcentral-exporter.checks" -}}
{{- include "ringcentral-exporter.checkAccount" . -}}
{{- include "ringcentral-exporter.checkAccounts" . -}}
{{- include "ringcentral-exporter.checkFlags" . -}}
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
{{- else if not (or $account.clientId $account.secret.clientIdKey) -}}
{{- fail "account.clientId: expected the client id of the app, or its key in the Secret as account.secret.clientIdKey" -}}
{{- else -}}
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
{{- include "ringcentral-exporter.checkPresence" (dict "path" $path "account" $account) -}}
{{- end -}}
{{- end -}}

{{/* Fails on presence of an account whose calls are those of one user. */}}
{{- define "ringcentral-exporter.checkPresence" -}}
{{- if and (eq (.account.level | default "") "extension") (has .account.presence (list "poll" "events")) -}}
{{- fail (printf "%s.presence: invalid value %q: expected off, since %s.level is extension" .path .account.presence .path) -}}
{{- end -}}
{{- end -}}

{{/* Fails on flags and variables that the chart sets from other values. */}}
{{- define "ringcentral-exporter.checkFlags" -}}
{{- range .Values.extraEnv -}}
{{- if or (hasPrefix "RC_" .name) (eq .name "STATE_DIRECTORY") -}}
{{- fail (printf "extraEnv: unexpected variable %s: the chart sets it from account, accounts, ca and state" .name) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraArgs -}}
{{- if and (regexMatch "^--(ringcentral[.]|config[.]file|web[.]config[.]file|web[.]listen-address|state[.]directory)" .) (not (hasPrefix "--ringcentral.presence-audit" .)) -}}
{{- fail (printf "extraArgs: unexpected flag %s: the chart sets it from account, accounts, webTls and state" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
